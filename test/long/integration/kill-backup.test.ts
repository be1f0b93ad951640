import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  betweenUploads,
  idsInStore,
  MOMENTS,
  unfinishedInStore,
} from '../../support/backup/backup-faults.ts';
import { assertInterrupted, assertKilledAndRemoved, PLAIN } from '../../support/backup/ended-backup.ts';
import { createFaultedWorld, manifests, startAgain } from '../../support/backup/faulted.ts';
import { gateAt, gateAtStore, killProgram, removeBackups, strayFiles } from '../../support/backup/faults.ts';
import { KILLS, randomKills } from '../../support/backup/random-kills.ts';
import { stateOf } from '../../support/core/expect.ts';
import { checkHere } from '../../support/core/in-process.ts';
import { createRandom } from '../../support/core/random.ts';

const world = await createFaultedWorld();
const { assertClean, assertNextBackupWorks, faultAt } = world;
const first = await world.backUp('plain');

for (const format of ['plain', 'custom']) {
  test(`${format}: kill -9 at every step: what counts as a backup is whole, and the next run puts the rest right`, async () => {
    const before = manifests(world);
    const steps = await world.killAtEveryStep(['backup', ['--format', format, '--no-upload']], async step => {
      await assertClean({ files: strayFiles(world) });
      assert.is(manifests(world), before, `step ${step}: nothing counts that was not verified`);
      assert.is(await checkHere(world, first, {}, 'local'), first);
    });
    assert.ok(steps >= 12, `${steps} steps`);
    assert.is(manifests(world), before + 1);
    await assertNextBackupWorks();
  });
}

test('kill -9 of pg_dump in the middle of the dump', async () => {
  const ended = await faultAt(MOMENTS.dump!(world), PLAIN, () => killProgram(world, 'pg_dump'));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, 'could not dump app: pg_dump was ended by signal 9');
  await assertClean();
});

test('kill -9 of gzip in the middle of the dump', async () => {
  const ended = await faultAt(MOMENTS.dump!(world), PLAIN, () => killProgram(world, 'gzip'));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, 'could not dump app: gzip was ended by signal 9');
  await assertClean();
});

test('kill -9 of zstd in the middle of a custom dump', async () => {
  const gate = gateAt(world, { program: 'zstd', args: '-c$', input: 100_000 });
  const ended = await faultAt(gate, ['backup', ['--format', 'custom']], () => killProgram(world, 'zstd'));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, 'could not dump app: zstd was ended by signal 9');
  await assertClean();
});

test('kill -9 of PostgreSQL in the middle of the dump', async () => {
  const ended = await faultAt(MOMENTS.dump!(world), PLAIN, () => world.pg.halt('SIGKILL'));
  await startAgain(world);
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, /error: could not (dump|keep a session)/);
  await assertClean();
  await assertNextBackupWorks();
});

test('kill -9 while roles are dumped', async () => {
  const gate = gateAt(world, { program: 'pg_dumpall', output: 10 });
  const ended = await faultAt(gate, PLAIN, () => killProgram(world, 'gzip'));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, 'could not dump roles and settings: gzip was ended by signal 9');
  await assertClean();
});

for (const [moment, gate] of Object.entries(MOMENTS)) {
  test(`kill -9 of the script during ${moment}: no process outlives it, and the next run removes its files`, () =>
    assertKilledAndRemoved(world, gate));
}

test('kill -9 of the backend that dumps', async () => {
  const ended = await faultAt(MOMENTS.dump!(world), PLAIN, () => world.killBackend(`query LIKE 'COPY%'`));
  assert.is(ended.code, 1, ended.stderr);
  assert.match(ended.stderr, /error: could not (dump|keep a session)/);
  await assertClean();
  await assertNextBackupWorks();
});

for (const [moment, gate] of Object.entries(MOMENTS)) {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    test(`${signal} during the ${moment}`, () => assertInterrupted(world, gate, signal, code));
  }
}

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)
  test(`${signal} during the upload: the backup here stays, nothing half is in the store`, async () => {
    const gate = await betweenUploads(world);
    try {
      const before = manifests(world);
      const ended = await faultAt(gate, PLAIN, ({ child }) => child.kill(signal));
      assert.is(ended.code, code, ended.stderr);
      assert.is(manifests(world), before + 1);
      await assertClean();
    } finally {
      gate.close();
    }
    assert.equal(await unfinishedInStore(world), []);
  });

for (const [what, method, file, unfinished] of [
  ['artifact is sent', 'PUT', String.raw`\d\.sql\.gz`, 0],
  ['artifact is compared', 'HEAD', String.raw`\d\.sql\.gz`, 1],
  ['globals are compared', 'HEAD', 'globals', 1],
  ['manifest is sent', 'PUT', String.raw`\.json`, 1],
  ['manifest is compared', 'HEAD', String.raw`\.json`, 0],
] as const) {
  test(`kill -9 of the script before the ${what}: the next run removes what is half in the store`, async () => {
    // Before the dump the script looks at a file of a backup that is there.
    const others = (await idsInStore(world)).map(id => `(?!${id})`).join('');
    const gate = await gateAtStore(world, new RegExp(`^${method} /bucket/database/${others}[^ ]*${file}`));
    try {
      const ended = await faultAt(gate, PLAIN, ({ child }) => child.kill('SIGKILL'));
      assert.is(ended.signal, 'SIGKILL');
    } finally {
      gate.close();
    }
    assert.is((await unfinishedInStore(world)).length, unfinished);
    await assertNextBackupWorks();
    assert.equal(await unfinishedInStore(world), []);
  });
}

const random = createRandom();

test(`${KILLS} kills of backup.ts at random moments (SEED=${random.seed})`, async () => {
  removeBackups(world, [first]);
  let before = manifests(world);
  await randomKills(world, { script: PLAIN, runs: KILLS, random, lock: 'production' }, async code => {
    const made = manifests(world) - before;
    assert.ok(made === 1 || (made === 0 && code !== 0), `${made} backups of a run that ended with ${code}`);
    const stray = strayFiles(world);
    await assertClean({ files: stray });
    assert.is(await stateOf(world), 'live');
    const latest = await checkHere(world, 'latest', {}, 'local');
    assert.is(latest === first, made === 0);
    await assertNextBackupWorks();
    assert.equal(await unfinishedInStore(world), []);
    removeBackups(world, [first]);
    before = manifests(world);
    return made === 1 ? 'a backup' : stray.length > 0 ? 'files' : 'nothing';
  });
});

test('kill -9 of the script during the upload: the next run removes what is half in the store', async () => {
  const gate = await betweenUploads(world);
  try {
    const ended = await faultAt(gate, PLAIN, ({ child }) => child.kill('SIGKILL'));
    assert.is(ended.signal, 'SIGKILL');
  } finally {
    gate.close();
  }
  assert.is((await unfinishedInStore(world)).length, 1);
  await assertNextBackupWorks();
  assert.equal(await unfinishedInStore(world), []);
});

test('the servers stop', world.stop);

test.run();
