import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MOMENTS } from '../support/backup/backup-faults.ts';
import { assertKilledAndRemoved } from '../support/backup/ended-backup.ts';
import { createFaultedWorld, manifests } from '../support/backup/faulted.ts';
import { killProgram } from '../support/backup/faults.ts';

const world = await createFaultedWorld();
const { assertClean, faultAt } = world;
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

/** At every step, during the upload, by SIGTERM and SIGINT, and with PostgreSQL killed: test/long/integration/kill-backup.test.ts. */
test('kill -9 of the script during the dump: no process outlives it, and the next run removes its files', () =>
  assertKilledAndRemoved(world, dump));

test('the servers stop', world.stop);

test.run();
