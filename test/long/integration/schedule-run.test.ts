import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lockIsFree, strayFiles } from '../../support/backup/faults.ts';
import { fill, withDisk } from '../../support/core/disk.ts';
import { createScheduleWorld, RUNS } from '../../support/schedule/schedule-world.ts';

const { world, fresh, told, running, duringDump, stop } = await createScheduleWorld();

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

test('the servers stop', stop);

test.run();
