/* The table of what recurs: each line is a script that exists and takes what it is given; what comes next, and the state. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../scripts/lib/config.ts';
import { lastTime, nextTime } from '../scripts/lib/cron.ts';
import { jobsOf } from '../scripts/lib/schedule.ts';
import { judge } from '../scripts/lib/schedule-state.ts';
import { DUE, yesterday } from './support/scheduler-play.ts';

const config = loadConfig('staging', {});

for (const { name, argv } of jobsOf(config).jobs) {
  test(`${name}: its script exists, and takes the flags that it is given`, () => {
    const [script, ...args] = argv as [string, ...string[]];
    const { status, stdout, stderr } = spawnSync(script, [...args, '--help'], { encoding: 'utf8' });
    assert.is(status, 0, stderr);
    assert.match(stdout, /^ {2}--env /m);
    assert.ok(args.join(' ').startsWith('--env staging'));
  });
}

test('every job of the configuration is in the table, on or off', () => {
  const names = jobsOf(config).jobs.map(({ name }) => name);
  assert.equal(names.sort(), Object.keys(config.schedule).sort());
  const { jobs, off } = jobsOf(loadConfig('staging', { SCHEDULE_DRILL: 'off' }));
  assert.not(jobs.some(({ name }) => name === 'drill'));
  assert.equal(off, ['drill']);
});

test('the time after, and the time not after, an instant: at the due time itself and a millisecond beside it', () => {
  for (const offset of [-1000, -1, 0, 1, 1000]) {
    const [instant, day] = [new Date(DUE + offset), 24 * 3_600_000];
    assert.is(nextTime('0 2 * * *', instant).getTime(), offset < 0 ? DUE : DUE + day, `${offset}`);
    assert.is(lastTime('0 2 * * *', instant).getTime(), offset < 0 ? DUE - day : DUE, `${offset}`);
  }
});

test('status: alive, silent for too long, overdue, never run', () => {
  const at = (time: string) => judge(yesterday(), new Date(time)).json;
  assert.equal(at('2026-01-01T03:01:59Z').problems, []);
  assert.match(
    at('2026-01-01T03:02:01Z').problems.join(),
    /last looked at the clock at 2026-01-01 03:00:00 UTC/,
  );
  assert.match(at('2025-12-31T00:00:00Z').problems.join(), /last looked/, 'of a clock that went back');
  assert.match(at('2026-01-02T02:03:00Z').problems.join(), /backup is overdue since 2026-01-02 02:00:00 UTC/);
  assert.match(judge(undefined, new Date()).json.problems.join(), /never ran/);
});

test.run();
