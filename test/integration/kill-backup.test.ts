import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createFaultedWorld, manifests, startAgain } from '../support/faulted.ts';
import { gateAt, gateAtStore, killProgram, strayFiles, untilNoProcess } from '../support/faults.ts';

const world = await createFaultedWorld();
const { assertClean, assertNextBackupWorks, faultAt } = world;
await world.backUp('plain');

const PLAIN: [string, string[]] = ['backup', ['--format', 'plain']];
const GATES = {
  dump: () => gateAt(world, { program: 'gzip', args: '^-5', input: 100_000 }),
  verification: () => gateAt(world, { program: 'gzip', args: '^-dc', input: 100 }),
};
const SIGNALS = [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const;

for (const program of ['pg_dump', 'gzip']) {
  test(`kill -9 of ${program} in the middle of the dump`, async () => {
    const ended = await faultAt(GATES.dump(), PLAIN, () => killProgram(world, program));
    assert.is(ended.code, 1, ended.stderr);
    assert.match(ended.stderr, `could not dump app: ${program} was ended by signal 9`);
    await assertClean();
  });
}

test('kill -9 of zstd in the middle of a custom dump', async () => {
  const gate = gateAt(world, { program: 'zstd', args: '-c$', input: 100_000 });
  const ended = await faultAt(gate, ['backup', ['--format', 'custom']], () => killProgram(world, 'zstd'));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, 'could not dump app: zstd was ended by signal 9');
  await assertClean();
});

test('kill -9 while roles are dumped', async () => {
  const gate = gateAt(world, { program: 'pg_dumpall', output: 10 });
  const ended = await faultAt(gate, PLAIN, () => killProgram(world, 'gzip'));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, 'could not dump roles and settings: gzip was ended by signal 9');
  await assertClean();
});

test('kill -9 of the program that decodes', async () => {
  const ended = await faultAt(GATES.verification(), PLAIN, () => killProgram(world, 'gzip'));
  assert.is(ended.code, 3, ended.stderr);
  assert.match(ended.stderr, 'gzip was ended by signal 9');
  await assertClean();
  await assertNextBackupWorks();
});

test('kill -9 of PostgreSQL in the middle of the dump', async () => {
  const ended = await faultAt(GATES.dump(), PLAIN, () => world.pg.halt('SIGKILL'));
  await startAgain(world);
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, /error: could not (dump|keep a session)/);
  await assertClean();
});

test('kill -9 of the backend that dumps', async () => {
  const ended = await faultAt(GATES.dump(), PLAIN, () => world.killBackend(`query LIKE 'COPY%'`));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, /error: could not (dump|keep a session)/);
  await assertClean();
  await assertNextBackupWorks();
});

for (const [moment, gate] of Object.entries(GATES)) {
  test(`kill -9 of the script during ${moment}: no process outlives it, and the next run removes its files`, async () => {
    const before = manifests(world);
    const ended = await faultAt(gate(), PLAIN, ({ child }) => child.kill('SIGKILL'));
    assert.is(ended.signal, 'SIGKILL');
    await assertClean({ files: strayFiles(world) });
    assert.ok(strayFiles(world).length > 1, 'it was killed while it wrote');
    assert.is(manifests(world), before);
    const next = await world.run('backup');
    assert.is(next.code, 0, next.stderr);
    assert.match(
      next.stderr,
      /an earlier run did not finish neurmatic_production_\d+_\d+; removing what it left/,
    );
    await assertClean();
  });

  for (const [signal, code] of SIGNALS) {
    test(`${signal} during ${moment}`, async () => {
      const ended = await faultAt(gate(), PLAIN, ({ child }) => child.kill(signal));
      assert.is(ended.code, code, ended.stderr);
      assert.match(ended.stderr, `interrupted by ${signal}`);
      await assertClean();
    });
  }
}

/** The moment after the artifact is in the store and before its manifest is. */
const betweenUploads = () => gateAtStore(world, /^PUT \/bucket\/database\/[^ ]*globals/);

for (const [signal, code] of SIGNALS) {
  test(`${signal} during the upload: the backup here stays, nothing half is in the store`, async () => {
    const gate = await betweenUploads();
    try {
      const before = manifests(world);
      const ended = await faultAt(gate, PLAIN, ({ child }) => child.kill(signal));
      assert.is(ended.code, code, ended.stderr);
      assert.is(manifests(world), before + 1);
      await assertClean();
    } finally {
      gate.close();
    }
    assert.equal(await unfinishedInStore(), []);
  });
}

test('kill -9 of the script during the upload: the next run removes what is half in the store', async () => {
  const gate = await betweenUploads();
  try {
    const ended = await faultAt(gate, PLAIN, ({ child }) => child.kill('SIGKILL'));
    assert.is(ended.signal, 'SIGKILL');
  } finally {
    gate.close();
  }
  assert.is((await unfinishedInStore()).length, 1);
  await assertNextBackupWorks();
  assert.equal(await unfinishedInStore(), []);
});

/** @returns what is in the store and is no whole backup */
async function unfinishedInStore(): Promise<unknown[]> {
  const list = await world.run('list-backups', ['--json']);
  assert.is(list.code, 0, list.stderr);
  return list.stdout.match(/no manifest/g) ?? [];
}

test('kill -9 at any moment: what counts as a backup is whole, and the next run puts the rest right', async () => {
  for (let moment = 0; moment < 8; moment++) {
    const started = world.start('backup');
    await new Promise(resolve => setTimeout(resolve, 150 + moment * 200));
    started.child.kill('SIGKILL');
    await started.ended;
    await untilNoProcess(world);
    await assertClean({ files: strayFiles(world) });
    const check = await world.run('verify-backup', ['latest']);
    assert.is(check.code, 0, check.stderr);
  }
  await assertNextBackupWorks();
});

test('the servers stop', world.stop);

test.run();
