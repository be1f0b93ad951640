import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gateAt, lockIsFree, strayFiles, untilNoProcess } from '../support/backup/faults.ts';
import { finishHere, makeBackup } from '../support/core/in-process.ts';
import { createWorld, type Started } from '../support/core/world.ts';

const world = await createWorld();
await world.sql(`CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 1000) AS i`);
world.env.S3_BUCKET = ''; // what is off-site is no part of this
await makeBackup(world);

const duringDump = () => gateAt(world, { program: 'gzip', args: '^-5' });
const duringLoad = () => gateAt(world, { program: 'psql', args: '--output=/dev/null' });

/** Starts a script that stands still in the middle, runs `meanwhile`, and lets it go on to its end. */
async function during(
  gate: ReturnType<typeof gateAt>,
  [name, args]: [string, string[]],
  meanwhile: (holder: Started) => Promise<void>,
): Promise<void> {
  const holder = world.start(name, args, gate.env);
  try {
    await gate.reached();
    await meanwhile(holder);
    gate.open();
    const { code, stderr } = await holder.ended;
    assert.is(code, 0, stderr);
  } finally {
    gate.open();
    holder.child.kill('SIGKILL');
  }
}

/** The second of two runs: 75, who holds the lock since when and for what, and nothing done. */
async function assertLockedOut(script: string, args: string[], holder: string, pid: number): Promise<void> {
  const { code, stderr, stdout } = await world.run(script, [...args, '--json']);
  assert.is(code, 75, stderr);
  const message = new RegExp(
    `another run holds .*/production\\.lock: ${holder}, by \\S+ on \\S+, process ${pid}, since \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC \\(.+\\)`,
  );
  assert.match(stderr, message);
  assert.match(stderr, /→ wait until it is over/);
  const { error } = JSON.parse(stdout);
  assert.is(error.exitCode, 75);
  assert.match(error.message, message);
  assert.not.match(stderr, /things change|did not finish/);
}

test('during a backup: nothing else that changes this environment, all that only reads, and staging', () =>
  during(duringDump(), ['backup', []], async ({ child }) => {
    const before = strayFiles(world);
    for (const [script, args] of [
      ['backup', []],
      ['restore', ['latest', '--yes']],
      ['restore', ['--undo', '--yes']],
      ['prune-backups', ['--yes']],
    ] as const) {
      await assertLockedOut(script, [...args], 'backup\\.ts', child.pid!);
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
      await assertLockedOut('backup', [], 'backup\\.ts', child.pid!);
    } finally {
      child.kill('SIGCONT');
    }
  }));

test('a run that has ended leaves the lock free, without its holder', () => {
  assert.ok(lockIsFree(world));
  assert.is(readFileSync(join(world.env.STATE_DIR!, 'production.lock'), 'utf8'), '');
});

test('during a restore: a backup is locked out', async () => {
  await during(duringLoad(), ['restore', ['latest', '--yes']], async ({ child }) => {
    await assertLockedOut('backup', [], 'restore\\.ts', child.pid!);
  });
  await finishHere(world);
});

test('the lock of a killed run is free at once; of two runs at the same moment one is locked out', async () => {
  const gate = duringDump();
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
