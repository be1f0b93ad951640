import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lockIsFree, strayFiles } from '../../support/backup/faults.ts';
import { makeBackup } from '../../support/core/in-process.ts';
import { assertLockedOut, during, duringDump, duringLoad } from '../../support/core/locked.ts';
import { createWorld } from '../../support/core/world.ts';

const world = await createWorld();
await world.sql(`CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 1000) AS i`);
world.env.S3_BUCKET = ''; // what is off-site is no part of this
await makeBackup(world);

test('during a backup: nothing else that changes this environment, all that only reads, and staging', () =>
  during(world, duringDump(world), ['backup', []], async ({ child }) => {
    const before = strayFiles(world);
    for (const [script, args] of [
      ['backup', []],
      ['restore', ['latest', '--yes']],
      ['restore', ['--undo', '--yes']],
      ['prune-backups', ['--yes']],
    ] as const) {
      await assertLockedOut(world, script, [...args], 'backup\\.ts', child.pid!);
    }
    assert.equal(strayFiles(world), before, 'the files of the run under way are left alone');

    for (const [script, args] of [
      ['backup', ['--dry-run']],
      ['list-backups', []],
      ['verify-backup', ['latest']],
    ] as const) {
      const { code, stderr } = await world.run(script, [...args]);
      assert.is(code, 0, stderr);
    }
    const staging = await world.run('backup', ['--env', 'staging']);
    assert.is(staging.code, 0, staging.stderr);
    assert.ok(lockIsFree(world, 'staging'));
    assert.not.ok(lockIsFree(world, 'production'));

    child.kill('SIGSTOP'); // a run that is stopped keeps its lock
    try {
      await assertLockedOut(world, 'backup', [], 'backup\\.ts', child.pid!);
    } finally {
      child.kill('SIGCONT');
    }
  }));

test('during a restore: a backup is locked out', async () => {
  await during(
    world,
    duringLoad(world),
    ['restore', ['latest', '--database', 'beside', '--yes']],
    async ({ child }) => {
      await assertLockedOut(world, 'backup', [], 'restore\\.ts', child.pid!);
    },
  );
});

test('the servers stop', world.stop);

test.run();
