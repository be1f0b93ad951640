/* Runs that were missed, cut short, overlap, wait for a lock or fail, over days of a virtual clock. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { statusOf } from '../../scripts/lib/schedule/status.ts';
import { job, play, yesterday } from '../support/schedule/play.ts';

process.stderr.write = () => true; // the scheduler's log; failures of tests are printed on stdout

test('three missed nights: one run, at the start', async () => {
  const plan = { from: '2026-01-04T12:00:00Z', until: '2026-01-05T12:00:00Z', before: yesterday() };
  const { starts } = await play(plan);
  assert.equal(starts, ['backup 2026-01-04T12:00', 'backup 2026-01-05T02:00']);
});

test('nothing missed: no run at the start', async () => {
  const plan = { from: '2026-01-01T23:00:00Z', until: '2026-01-02T01:59:00Z', before: yesterday() };
  assert.equal((await play(plan)).starts, []);
});

test('a run that was cut short is repeated once; cut short again, it is reported and not tried again', async () => {
  const cut = yesterday({ finished: undefined, exitCode: undefined });
  const soon = { from: '2026-01-01T03:00:00Z', until: '2026-01-01T03:00:20Z' };
  const second = await play({ ...soon, before: cut });
  assert.equal(second.starts, ['backup 2026-01-01T03:00']);
  assert.equal(second.stopped, ['backup']);
  const third = await play({ ...soon, before: second.state });
  assert.equal(third.starts, []);
  assert.match(third.notified.join(), /backup was cut short twice/);
  const fourth = await play({ ...soon, until: '2026-01-02T03:00:00Z', before: third.state });
  assert.equal(fourth.starts, ['backup 2026-01-02T02:00']);
  assert.equal(fourth.notified, []);
});

test('stopped in the middle of a run: it is stopped, waited for, and repeated at the next start', async () => {
  const runs = () => ({ seconds: 3600 });
  const first = await play({ from: '2026-01-01T12:00:00Z', until: '2026-01-02T02:10:00Z', runs });
  assert.equal(first.stopped, ['backup']);
  assert.is(first.state.jobs.backup!.finished, undefined);
  assert.equal(first.notified, [], 'a stop is no failure');
  const plan = { from: '2026-01-02T02:11:00Z', until: '2026-01-02T12:00:00Z', before: first.state };
  const second = await play(plan);
  assert.equal(second.starts, ['backup 2026-01-02T02:11']);
  assert.is(second.state.jobs.backup!.exitCode, 0);
});

test('a schedule that was changed, or was off, begins with the next due time', async () => {
  const plan = { jobs: [job('backup', '0 3 * * *')], before: yesterday() };
  const { starts } = await play({ ...plan, from: '2026-01-05T12:00:00Z', until: '2026-01-06T12:00:00Z' });
  assert.equal(starts, ['backup 2026-01-06T03:00']);
});

test('a job that is still running when it is due again does not start; one notification, and status says so', async () => {
  const { starts, notified, state } = await play({
    jobs: [job('backup', '0 * * * *')],
    from: '2026-01-01T00:30:00Z',
    until: '2026-01-01T05:30:00Z',
    runs: start => ({ seconds: start === 1 ? 2.5 * 3600 : 9999 }),
  });
  assert.equal(starts, ['backup 2026-01-01T01:00', 'backup 2026-01-01T04:00']);
  assert.equal(
    notified.map(text => text.slice(0, 38)),
    ['backup was due 2026-01-01 02:00:00 UTC', 'backup was due 2026-01-01 05:00:00 UTC'],
  );
  const { json } = statusOf(state, new Date('2026-01-01T05:30:00Z'));
  assert.is(json.alive, true);
  assert.match(json.problems.join(), /^backup was due 2026-01-01 05:00:00 UTC, but is still running/);
});

test('different jobs overlap', async () => {
  const { starts, notified } = await play({
    jobs: [job('backup', '0 2 * * *'), job('drill', '30 2 * * *')],
    from: '2026-01-01T00:00:00Z',
    until: '2026-01-01T03:00:00Z',
    runs: () => ({ seconds: 7200 }),
  });
  assert.equal(starts, ['backup 2026-01-01T02:00', 'drill 2026-01-01T02:30']);
  assert.equal(notified, []);
});

test('a held lock is tried again each minute; after a quarter of an hour there is a notification', async () => {
  const span = { from: '2026-01-01T00:00:00Z', until: '2026-01-01T03:00:00Z' };
  const freed = await play({ ...span, runs: start => ({ seconds: 1, exitCode: start <= 3 ? 75 : 0 }) });
  assert.is(freed.starts.length, 4);
  assert.is(freed.starts[3], 'backup 2026-01-01T02:03');
  assert.equal(freed.notified, []);
  const held = await play({ ...span, runs: () => ({ seconds: 1, exitCode: 75 }) });
  assert.ok(held.starts.length >= 14 && held.starts.length <= 17, `${held.starts.length}`);
  assert.is(held.notified.length, 1);
  assert.match(held.notified[0]!, /backup FAILED: another run has held the lock/);
});

test('failures that a script can’t report are reported: killed, not started, misconfigured', async () => {
  const notified = async (name: 'backup' | 'health-check', exitCode: number) => {
    const runs = () => ({ seconds: 1, exitCode });
    const span = { from: '2026-01-01T00:00:00Z', until: '2026-01-01T03:00:00Z' };
    return (await play({ jobs: [job(name, '0 2 * * *')], ...span, runs })).notified.join();
  };
  assert.match(await notified('backup', 137), /backup FAILED: it was ended by signal 9/);
  assert.match(await notified('backup', 127), /backup FAILED: exit status 127/);
  assert.match(await notified('backup', 2), /backup FAILED: its flags or the configuration are wrong/);
  for (const own of [0, 1, 3, 4, 130, 143]) assert.is(await notified('backup', own), '', `${own}`);
  for (const own of [0, 1, 2, 3]) assert.is(await notified('health-check', own), '', `${own}`);
  assert.match(await notified('health-check', 139), /signal 11/);
});

test('the same failure every five minutes is reported once; every night, each time; the scheduler continues', async () => {
  const runs = () => ({ seconds: 1, exitCode: 127 });
  const often = await play({
    jobs: [job('health-check', '*/5 * * * *')],
    from: '2026-01-01T00:01:00Z',
    until: '2026-01-01T02:01:00Z',
    runs,
  });
  assert.is(often.starts.length, 24);
  assert.is(often.notified.length, 1);
  const nightly = await play({ from: '2026-01-01T00:00:00Z', until: '2026-01-03T03:00:00Z', runs });
  assert.is(nightly.notified.length, 3);
});

test('a scheduler without jobs waits', async () => {
  const { state } = await play({ jobs: [], from: '2026-01-01T00:00:00Z', until: '2026-01-01T01:00:00Z' });
  assert.equal(state.jobs, {});
});

test.run();
