import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { statusOf } from '../../scripts/lib/schedule/status.ts';
import { yesterday } from '../support/schedule/play.ts';

test('status: alive, silent for too long, overdue, never run', () => {
  const at = (time: string) => statusOf(yesterday(), new Date(time)).json;
  assert.equal(at('2026-01-01T03:01:59Z').problems, []);
  assert.match(
    at('2026-01-01T03:02:01Z').problems.join(),
    /last looked at the clock at 2026-01-01 03:00:00 UTC/,
  );
  assert.match(at('2025-12-31T00:00:00Z').problems.join(), /last looked/, 'of a clock that went back');
  assert.match(at('2026-01-02T02:03:00Z').problems.join(), /backup is overdue since 2026-01-02 02:00:00 UTC/);
  assert.match(statusOf(undefined, new Date()).json.problems.join(), /never ran/);
});

test.run();
