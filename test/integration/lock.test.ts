import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lockIsFree, strayFiles, untilNoProcess } from '../support/backup/faults.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { assertLockedOut, during, duringDump } from '../support/core/locked.ts';
import { createWorld } from '../support/core/world.ts';

const world = await createWorld();
await world.sql(`CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 1000) AS i`);
world.env.S3_BUCKET = ''; // what is off-site is no part of this
await makeBackup(world);

/** All scripts that change, and all that read, and during a restore: test/long/integration/lock.test.ts. */
test('during a backup: nothing else that changes this environment, all that only reads, and staging', () =>
  during(world, duringDump(world), ['backup', []], async ({ child }) => {
    const before = strayFiles(world);
    for (const [script, args] of [
      ['backup', []],
      ['restore', ['latest', '--yes']],
    ] as const) {
      await assertLockedOut(world, script, [...args], 'backup\\.ts', child.pid!);
    }
    assert.equal(strayFiles(world), before, 'the files of the run under way are left alone');

    for (const [script, args] of [['backup', ['--dry-run']]] as const) {
      const { code, stderr } = await world.run(script, [...args]);
      assert.is(code, 0, stderr);
    }
    const staging = await world.run('prune-backups', ['--env', 'staging', '--yes']); // a backup: the long one
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

test('a run that has ended leaves the lock free, without its holder', () => {
  assert.ok(lockIsFree(world));
  assert.is(readFileSync(join(world.env.STATE_DIR!, 'production.lock'), 'utf8'), '');
});

test('the lock of a killed run is free at once; of two runs at the same moment one is locked out', async () => {
  const gate = duringDump(world);
  const holder = world.start('backup', [], gate.env);
  await gate.reached();
  assert.not.ok(lockIsFree(world));
  holder.child.kill('SIGKILL');
  await holder.ended;
  assert.ok(lockIsFree(world), 'while its children may still be ending');
  const ended = await Promise.all([world.run('backup'), world.run('backup')]);
  const codes = ended.map(({ code }) => code).sort();
  assert.equal(codes, [0, 75], ended.map(({ stderr }) => stderr).join('\n'));
  await untilNoProcess(world);
  assert.equal(strayFiles(world), []);
});

test('the servers stop', world.stop);

test.run();
