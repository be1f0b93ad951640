/*
 * The scheduler over hours of a clock that the test turns, which is 120 looks each; over days:
 * test/long/scheduler.test.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judge } from '../scripts/lib/schedule-state.ts';
import { assertRunsAtOnce, assertStarts, job, play, yesterday } from './support/scheduler-play.ts';

process.stderr.write = () => true; // what the scheduler says; failures are printed on stdout

const HOURLY = [job('backup', '0 * * * *')];

test('a first start runs nothing before its time, and then each time', async () => {
  const { starts, told, state } = await play({
    jobs: HOURLY,
    from: '2026-01-01T22:30:00Z',
    until: '2026-01-02T01:30:00Z',
  });
  assert.equal(starts, ['backup 2026-01-01T23:00', 'backup 2026-01-02T00:00', 'backup 2026-01-02T01:00']);
  assert.equal(told, []);
  assert.equal(state.jobs.backup, {
    expression: '0 * * * *',
    due: '2026-01-02T01:00:00.000Z',
    started: '2026-01-02T01:00:00.000Z',
    finished: '2026-01-02T01:01:00.000Z',
    exitCode: 0,
  });
});

/** Milliseconds from a due time at which a start, or a look, could go wrong; more: test/long/scheduler.test.ts. */
const AROUND = [-1000, -999, -21, -20, -1, 0, 1, 20, 999];

test('started at any moment around a due time, however long that takes: what the table names runs', () =>
  assertStarts(AROUND, [0, 1, 20, 21, 1000, 119_999, 121_001, 300_000]));

test('however a due time falls between two looks at the clock, the job runs at once, and once', () =>
  assertRunsAtOnce([-60, -41, -31, -14, -7, -4, -3, -2, -1]));

test('what comes next after a run is what comes next, though it ends when that is due already', async () => {
  const said: string[] = [];
  process.stderr.write = text => said.push(String(text)) > 0;
  try {
    const { starts } = await play({
      jobs: [job('backup', '* * * * *')],
      from: '2026-01-01T00:00:30Z',
      until: '2026-01-01T00:02:20Z',
      runs: () => ({ seconds: 59.6 }),
      meanwhile: time => time.at('2026-01-01T00:01:59.500Z', () => time.set(1)),
    });
    assert.equal(starts, ['backup 2026-01-01T00:01', 'backup 2026-01-01T00:02']);
  } finally {
    process.stderr.write = () => true;
  }
  assert.match(said.join(''), /backup: ended with 0 after 1 min 1 s; next 2026-01-01 00:02:00 UTC/);
});

test('the clock is looked at, and that is kept, every 30 seconds', async () => {
  const { saves } = await play({ from: '2026-01-01T12:00:00Z', until: '2026-01-01T13:00:00Z' });
  assert.ok(saves >= 120, `${saves}`);
});

test('daylight saving of the server’s zone changes nothing', async () => {
  const zone = process.env.TZ;
  process.env.TZ = 'Europe/Paris';
  try {
    // Of which the clock there leaves out or repeats an hour: at 01:00 UTC.
    for (const date of ['2026-03-29', '2026-10-25']) {
      const plan = { jobs: [job('backup', '30 1 * * *')], from: `${date}T00:00:00Z` };
      const { starts } = await play({ ...plan, until: `${date}T03:00:00Z` });
      assert.equal(starts, [`backup ${date}T01:30`]);
    }
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
});

test('three nights missed: made up for once, at the start', async () => {
  const plan = { from: '2026-01-05T01:00:00Z', until: '2026-01-05T02:30:00Z', before: yesterday() };
  const { starts } = await play(plan);
  assert.equal(starts, ['backup 2026-01-05T01:00', 'backup 2026-01-05T02:00']);
});

test('nothing missed: nothing made up for', async () => {
  const plan = { from: '2026-01-01T23:00:00Z', until: '2026-01-02T01:59:00Z', before: yesterday() };
  assert.equal((await play(plan)).starts, []);
});

test('a run that was cut short is made up for once; cut short again, it is told and left', async () => {
  const cut = yesterday({ finished: undefined, exitCode: undefined });
  const soon = { from: '2026-01-01T03:00:00Z', until: '2026-01-01T03:00:20Z' };
  const second = await play({ ...soon, before: cut });
  assert.equal(second.starts, ['backup 2026-01-01T03:00']);
  assert.equal(second.stopped, ['backup']);
  const third = await play({ ...soon, before: second.state });
  assert.equal(third.starts, []);
  assert.match(third.told.join(), /backup was cut short twice/);
  const night = { from: '2026-01-02T01:30:00Z', until: '2026-01-02T02:30:00Z' };
  const fourth = await play({ ...night, before: third.state });
  assert.equal(fourth.starts, ['backup 2026-01-02T02:00']);
  assert.equal(fourth.told, []);
});

test('stopped in the middle of a run: it is ended, waited for, and made up for at the next start', async () => {
  const runs = () => ({ seconds: 3600 });
  const first = await play({ from: '2026-01-02T01:30:00Z', until: '2026-01-02T02:10:00Z', runs });
  assert.equal(first.stopped, ['backup']);
  assert.is(first.state.jobs.backup!.finished, undefined);
  assert.equal(first.told, [], 'a stop is no failure');
  const plan = { from: '2026-01-02T02:11:00Z', until: '2026-01-02T03:30:00Z', before: first.state };
  const second = await play(plan);
  assert.equal(second.starts, ['backup 2026-01-02T02:11']);
  assert.is(second.state.jobs.backup!.exitCode, 0);
});

test('a schedule that was changed, or was off, starts anew', async () => {
  const plan = { jobs: [job('backup', '0 3 * * *')], before: yesterday() };
  const { starts } = await play({ ...plan, from: '2026-01-06T01:30:00Z', until: '2026-01-06T03:30:00Z' });
  assert.equal(starts, ['backup 2026-01-06T03:00']);
});

test('a machine that slept over three nights runs it once', async () => {
  const { starts } = await play({
    from: '2026-01-02T01:00:00Z',
    until: '2026-01-02T02:30:00Z',
    meanwhile: time => time.at('2026-01-02T01:10:00Z', () => time.set(3 * 86_400)),
  });
  assert.equal(starts, ['backup 2026-01-05T01:10', 'backup 2026-01-05T02:00']);
});

test('a clock that goes back by less than a day runs nothing twice', async () => {
  const { starts, told } = await play({
    jobs: HOURLY,
    from: '2026-01-02T01:30:00Z',
    until: '2026-01-02T06:30:00Z',
    meanwhile: time => time.at('2026-01-02T02:05:00Z', () => time.set(-3 * 3600)),
  });
  assert.equal(starts, ['backup 2026-01-02T02:00', 'backup 2026-01-02T03:00']);
  assert.equal(told, []);
});

test('a clock that goes back by more starts anew from there, and it is told', async () => {
  const { starts, told } = await play({
    jobs: HOURLY,
    from: '2026-01-21T01:30:00Z',
    until: '2026-01-21T03:30:00Z',
    meanwhile: time => time.at('2026-01-21T02:05:00Z', () => time.set(-10 * 86_400)),
  });
  assert.equal(starts, ['backup 2026-01-21T02:00', 'backup 2026-01-11T03:00']);
  assert.is(told.length, 1);
  assert.match(told[0]!, /the clock went back to 2026-01-11 02:05:\d\d UTC: backup/);
});

test('a job that still runs when it is due again is refused, told once, and status says so', async () => {
  const { starts, told, state } = await play({
    jobs: [job('backup', '0 * * * *')],
    from: '2026-01-01T00:30:00Z',
    until: '2026-01-01T05:30:00Z',
    runs: start => ({ seconds: start === 1 ? 2.5 * 3600 : 9999 }),
  });
  assert.equal(starts, ['backup 2026-01-01T01:00', 'backup 2026-01-01T04:00']);
  assert.equal(
    told.map(text => text.slice(0, 38)),
    ['backup was due 2026-01-01 02:00:00 UTC', 'backup was due 2026-01-01 05:00:00 UTC'],
  );
  const { json } = judge(state, new Date('2026-01-01T05:30:00Z'));
  assert.is(json.alive, true);
  assert.match(json.problems.join(), /^backup was due 2026-01-01 05:00:00 UTC, but still runs/);
});

test('different jobs overlap', async () => {
  const { starts, told } = await play({
    jobs: [job('backup', '0 2 * * *'), job('drill', '30 2 * * *')],
    from: '2026-01-01T01:50:00Z',
    until: '2026-01-01T02:50:00Z',
    runs: () => ({ seconds: 7200 }),
  });
  assert.equal(starts, ['backup 2026-01-01T02:00', 'drill 2026-01-01T02:30']);
  assert.equal(told, []);
});

test('a held lock is tried again each minute; after a quarter of an hour it is told', async () => {
  const span = { from: '2026-01-01T01:59:00Z', until: '2026-01-01T02:30:00Z' };
  const freed = await play({ ...span, runs: start => ({ seconds: 1, exitCode: start <= 3 ? 75 : 0 }) });
  assert.is(freed.starts.length, 4);
  assert.is(freed.starts[3], 'backup 2026-01-01T02:03');
  assert.equal(freed.told, []);
  const held = await play({ ...span, runs: () => ({ seconds: 1, exitCode: 75 }) });
  assert.ok(held.starts.length >= 14 && held.starts.length <= 17, `${held.starts.length}`);
  assert.is(held.told.length, 1);
  assert.match(held.told[0]!, /backup FAILED: another run has held the lock/);
});

test('what a script can’t tell itself is told: killed, not started, misconfigured', async () => {
  const told = async (name: 'backup' | 'health-check', exitCode: number) => {
    const runs = () => ({ seconds: 1, exitCode });
    const span = { from: '2026-01-01T01:59:00Z', until: '2026-01-01T02:05:00Z' };
    return (await play({ jobs: [job(name, '0 2 * * *')], ...span, runs })).told.join();
  };
  assert.match(await told('backup', 137), /backup FAILED: it was ended by signal 9/);
  assert.match(await told('backup', 127), /backup FAILED: exit status 127/);
  assert.match(await told('backup', 2), /backup FAILED: its flags or the configuration are wrong/);
  for (const own of [0, 1, 3, 4, 130, 143]) assert.is(await told('backup', own), '', `${own}`);
  for (const own of [0, 1, 2, 3]) assert.is(await told('health-check', own), '', `${own}`);
  assert.match(await told('health-check', 139), /signal 11/);
});

test('the same failure every five minutes is told once; every two hours, each time; a failure ends nothing', async () => {
  const runs = () => ({ seconds: 1, exitCode: 127 });
  const often = await play({
    jobs: [job('health-check', '*/5 * * * *')],
    from: '2026-01-01T00:01:00Z',
    until: '2026-01-01T02:01:00Z',
    runs,
  });
  assert.is(often.starts.length, 24);
  assert.is(often.told.length, 1);
  const seldom = await play({
    jobs: [job('backup', '0 */2 * * *')],
    from: '2026-01-01T01:30:00Z',
    until: '2026-01-01T06:30:00Z',
    runs,
  });
  assert.is(seldom.told.length, 3);
});

test('nothing to do at all is waited for as well', async () => {
  const { state } = await play({ jobs: [], from: '2026-01-01T00:00:00Z', until: '2026-01-01T01:00:00Z' });
  assert.equal(state.jobs, {});
});

test.run();
