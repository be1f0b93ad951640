import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lastTime, nextTime } from '../../scripts/lib/core/cron.ts';

const DUE = Date.parse('2026-01-02T02:00:00Z');
const DAY = 24 * 3600 * 1000;

test('the next and the last time of an instant: at the due time and a millisecond before and after it', () => {
  for (const offset of [-1000, -1, 0, 1, 1000]) {
    const instant = new Date(DUE + offset);
    assert.is(nextTime('0 2 * * *', instant).getTime(), offset < 0 ? DUE : DUE + DAY, `${offset}`);
    assert.is(lastTime('0 2 * * *', instant).getTime(), offset < 0 ? DUE - DAY : DUE, `${offset}`);
  }
});

test.run();
