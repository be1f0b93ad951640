import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readState } from '../../../scripts/lib/schedule/state.ts';
import { statusOf } from '../../../scripts/lib/schedule/status.ts';
import { lockIsFree, processesOf, strayFiles } from '../../support/backup/faults.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { fill, withDisk } from '../../support/core/disk.ts';
import { until } from '../../support/core/world.ts';
import { createScheduleWorld, RUNS } from '../../support/schedule/schedule-world.ts';

const { world, fresh, told, running, duringDump, stop } = await createScheduleWorld();

/** What `schedule.ts status` would say at that time. */
const statusAt = (env: Record<string, string>, time: string) => {
  const { text, json } = statusOf(readState(configOf(world, env)), new Date(time));
  return { text, problems: json.problems };
};

test('a full disk below its state is a warning, and the backup is made', async () => {
  const { backups } = fresh('2027-03-01T01:59:59.900Z', { shows: RUNS, goes: true });
  const disk = join(world.directory, 'disk');
  await withDisk(disk, 256 * 1024, async () => {
    fill(disk);
    const { code, stderr } = await running({ STATE_DIR: disk }, scheduler =>
      scheduler.shows(/backup: ended with 0/),
    );
    assert.is(code, 143, stderr);
    assert.match(stderr, /warning: can't write the state of the schedule: .*ENOSPC/);
  });
  assert.is(backups(), 1);
  assert.match(
    told()[0]!.text,
    /^backup neurmatic_production_/,
    'it is notified, though no state can be written',
  );
});

test('SIGTERM during a backup: it cleans up, does not count as failed, and is repeated at the next start', async () => {
  const { backups } = fresh('2027-03-01T01:59:59.900Z', { shows: RUNS, goes: true });
  const gate = duringDump();
  const first = await running(gate.env, () => gate.reached());
  assert.is(first.code, 143, first.stderr);
  assert.match(first.stderr, /backup: is stopped; the next start repeats it/);
  assert.match(first.stderr, /error: interrupted by SIGTERM/, 'the backup’s own last words');
  assert.equal(strayFiles(world), []);
  assert.ok(lockIsFree(world));
  assert.equal(
    told().map(({ script }) => script),
    ['backup.ts'],
  );
  await running({}, scheduler => scheduler.shows(/backup: ended with 0/));
  assert.is(backups(), 1);
});

test('a backup that is still running when it is due again is notified, also when it is killed; the next one runs', async () => {
  // The clock stops at each due time until the test has seen what it waits for: no run is late by itself.
  const { stand, state, backups } = fresh(
    '2027-03-01T01:59:59.900Z',
    { shows: RUNS, stands: '2027-03-01T02:00:00Z' },
    { shows: '^backup: starts$', stands: '2027-03-01T02:59:59.900Z' },
    { shows: 'is still running$', stands: '2027-03-01T03:59:59.900Z' },
  );
  const gate = duringDump();
  const env = { ...gate.env, SCHEDULE_BACKUP: '0 * * * *' };
  const { code, stderr } = await running(env, async scheduler => {
    await gate.reached();
    stand('2027-03-01T03:00:00Z');
    await until('the refusal is told', () => told().length === 1);
    assert.is(
      told()[0]!.text,
      'backup was due 2027-03-01 03:00:00 UTC, but the run of 2027-03-01 02:00:00 UTC is still running',
    );
    assert.is(told()[0]!.script, 'schedule.ts');
    await until('it is kept', () => state().jobs.backup.refused !== undefined);
    const status = statusAt(env, '2027-03-01T03:00:00Z');
    assert.ok(status.problems.length > 0, status.text);
    assert.match(
      status.text,
      /^backup was due 2027-03-01 03:00:00 UTC, but is still running since 2027-03-01 02:00:00 UTC$/m,
    );

    const script = processesOf(world).filter(({ cmdline }) =>
      /\/node (--\S+ )*\S+\/backup\.ts /.test(cmdline),
    );
    assert.is(script.length, 1, JSON.stringify(script));
    process.kill(script[0]!.pid, 'SIGKILL');
    await until('the failure is told', () => told().length === 2);
    assert.is(told()[1]!.text, 'backup FAILED: it was ended by signal 9');
    assert.is(told()[1]!.exitCode, 137);
    gate.open();

    stand('2027-03-01T04:00:00Z');
    await scheduler.shows(/backup: ended with 0/);
    await until('it is kept', () => state().jobs.backup.exitCode === 0);
    assert.equal(statusAt(env, '2027-03-01T04:00:00Z').problems, []);
    assert.is(state().jobs.backup.started, '2027-03-01T04:00:00.000Z');
  });
  assert.is(code, 143, stderr);
  assert.is(backups(), 1);
});

test('the servers stop', stop);

test.run();
