import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { betweenUploads, MOMENTS, unfinishedInStore } from '../support/backup/backup-faults.ts';
import { assertKilledAndRemoved, PLAIN } from '../support/backup/ended-backup.ts';
import { createFaultedWorld, manifests } from '../support/backup/faulted.ts';
import { killProgram } from '../support/backup/faults.ts';

const world = await createFaultedWorld();
const { assertClean, assertNextBackupWorks, faultAt } = world;
await world.backUp('plain');

/** For what is over before the upload. */
const HERE: [string, string[]] = ['backup', ['--format', 'plain', '--no-upload']];
const { dump, verification } = MOMENTS as { [moment in 'dump' | 'verification']: (typeof MOMENTS)[string] };

test('kill -9 of the program that decodes', async () => {
  const before = manifests(world);
  const ended = await faultAt(verification(world), HERE, () => killProgram(world, 'gzip'));
  assert.is(ended.code, 3, ended.stderr);
  assert.match(ended.stderr, 'gzip was ended by signal 9');
  await assertClean();
  assert.is(manifests(world), before);
});

/** At every step, by SIGTERM and SIGINT, and with PostgreSQL killed: test/long/integration/kill-backup.test.ts. */
test('kill -9 of the script during the dump: no process outlives it, and the next run removes its files', () =>
  assertKilledAndRemoved(world, dump));

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
