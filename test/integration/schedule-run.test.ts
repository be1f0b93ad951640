/* `schedule.ts run` as a process, with real backups, around the moments at which things go wrong. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readState } from '../../scripts/lib/schedule/state.ts';
import { statusOf } from '../../scripts/lib/schedule/status.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { history, until } from '../support/core/world.ts';
import { createScheduleWorld, RUNS } from '../support/schedule/schedule-world.ts';

const { world, fresh, told, running, duringDump, stop } = await createScheduleWorld();

/** What `schedule.ts status` would say at that time. */
const statusAt = (env: Record<string, string>, time: string) => {
  const { text, json } = statusOf(readState(configOf(world, env)), new Date(time));
  return { text, problems: json.problems };
};

test('started just before two o’clock, with the clock past it at the first look: the backup of the table runs', async () => {
  const { backups, state } = fresh('2027-03-01T01:59:59.900Z', {
    shows: RUNS, // and thereafter it decides what is due
    stands: '2027-03-01T02:00:00.100Z',
  });
  const { code, stderr } = await running({}, async scheduler => {
    await scheduler.shows(/^backup: starts$/m);
    await scheduler.shows(/backup: ended with 0 after .*; next 2027-03-02 02:00:00 UTC/);
    await until('that is kept', () => state().jobs.backup.finished !== undefined);
    const status = await world.run('schedule', ['status']);
    assert.is(status.code, 0, status.stdout);
    assert.match(
      status.stdout,
      /^backup +2027-03-01 02:00:00 UTC +exit status 0, after .* 2027-03-02 02:00:00 UTC$/m,
    );
    assert.match(status.stdout, /^alive, .* ago; nothing is overdue$/m);

    const second = await world.run('schedule', ['run']);
    assert.is(second.code, 75, second.stderr);
    assert.match(second.stderr, /another run holds .*production\.schedule\.lock: schedule\.ts run, by /);
    const install = await world.run('schedule', ['install']);
    assert.is(install.code, 75, install.stderr);
    assert.match(
      install.stderr,
      /schedule\.ts run already runs: backup\n.*`SCHEDULE_BACKUP=off \.\/scripts\/schedule\.ts install/,
    );
  });
  assert.is(code, 143, stderr);
  assert.match(stderr, /^backup +0 2 \* \* \* +2027-03-01 02:00 /m);
  assert.is(backups(), 1);
  assert.is(state().jobs.backup.exitCode, 0);
  assert.equal(
    told().map(({ script }) => script),
    ['backup.ts'],
    'a script that notifies is not notified a second time',
  );
  assert.equal(
    history(world).map(({ script, exitCode }) => [script, exitCode]),
    [
      ['backup.ts', 0],
      ['schedule.ts', 75],
      ['schedule.ts', 75],
      ['schedule.ts', 143],
    ],
  );
});

/** By SIGTERM, with a full disk, and still running when it is due again: test/long/integration/schedule-run.test.ts. */
test('kill -9 during a backup: its programs end, and the next start repeats it, once', async () => {
  const { backups, stand, state } = fresh('2027-03-01T01:59:59.900Z', { shows: RUNS, goes: true });
  const gate = duringDump();
  await running(gate.env, () => gate.reached(), 'SIGKILL');
  assert.is(backups(), 0);
  stand('2027-03-01T02:05:00Z');
  const second = await running({}, scheduler => scheduler.shows(/backup: ended with 0/));
  assert.match(second.stderr, /^backup: starts late, was due 2027-03-01 02:00:00 UTC$/m);
  stand('2027-03-01T02:10:00Z');
  const third = await running({}, () =>
    until('it has looked', () => state().heartbeat >= '2027-03-01T02:10'),
  );
  assert.match(third.stderr, /^backup +0 2 \* \* \* +2027-03-02 02:00 /m);
  assert.not.match(third.stderr, /backup: starts/);
  assert.is(backups(), 1);
});

test('kill -9 just before the due time, and a start hours later: it runs once, and its failure does not end the scheduler', async () => {
  const { stand, state } = fresh('2027-03-01T01:59:59.900Z');
  const kept = () => existsSync(join(world.env.STATE_DIR!, 'production.schedule.json'));
  await running({}, () => until('its state is kept', kept), 'SIGKILL');
  assert.equal(statusAt(world.env, '2027-03-01T02:01:59Z').problems, [], 'it could still be alive');
  stand('2027-03-01T07:00:00Z');
  const late = statusAt(world.env, '2027-03-01T07:00:00Z');
  assert.is(late.problems.length, 2);
  assert.match(late.text, /^the scheduler last looked at the clock at 2027-03-01 01:59:59 UTC$/m);
  assert.match(late.text, /^backup is overdue since 2027-03-01 02:00:00 UTC$/m);
  const { stderr } = await running({ PGPORT: '1' }, async scheduler => {
    await scheduler.shows(/backup: ended with 1/);
    await until('that is kept', () => state().jobs.backup.exitCode === 1);
    assert.is(scheduler.child.exitCode, null);
  });
  assert.equal(stderr.match(/^backup: starts.*$/gm), [
    'backup: starts late, was due 2027-03-01 02:00:00 UTC',
  ]);
  assert.is(state().jobs.backup.due, '2027-03-01T02:00:00.000Z');
});

test('the servers stop', stop);

test.run();
