/* Backups that are cut or changed at every tenth, in every way to name them; test/integration/damage.test.ts has some. */
import { unlinkSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Format } from '../../../scripts/lib/backup/manifest.ts';
import {
  assertRefused,
  assertSaysTheSame,
  copyOf,
  cutAt,
  everyTenth,
  FORMATS,
  only,
  TENTHS,
  world,
} from '../../support/backup/damage.ts';
import { manyDamages, otherOf } from '../../support/backup/random-damage.ts';
import { makeBackup, restoreHere } from '../../support/core/in-process.ts';
import { createRandom } from '../../support/core/random.ts';
import { liveState } from '../../support/postgres/live.ts';

const another = (format: Format) => makeBackup(world, { format, upload: false });

for (const format of FORMATS)
  for (const file of ['artifact', 'manifest'] as const)
    test(`${format}: the ${file} cut at every tenth, or with a bit flipped in each`, () =>
      assertRefused(format, everyTenth(file, TENTHS)));

test('a plain dump without a manifest, cut at every tenth', () =>
  assertRefused(
    'plain',
    TENTHS.map(tenth => ({
      what: `cut at tenth ${tenth}`,
      spoil: copy => {
        unlinkSync(copy.manifest);
        cutAt(copy.artifact, tenth);
      },
      ways: ['path'],
      says: /can't be decoded/,
    })),
  ));

const random = createRandom();
const AMOUNTS = { cuts: 14, flips: 20, blocks: 8 };

test(`restore.ts refuses more than 200 damaged backups and changes nothing (SEED=${random.seed})`, async () => {
  const before = await liveState(world);
  const look = async (address: string, env: Record<string, string>) => {
    try {
      return await restoreHere(world, address, {}, env);
    } finally {
      assert.is(await liveState(world), before);
    }
  };
  let refusals = 0;
  for (const format of FORMATS) {
    const others = [otherOf(format), copyOf(format, await another(format))];
    const cases = manyDamages(format, random, AMOUNTS, others);
    await assertRefused(format, cases, look);
    refusals += cases.length;
  }
  console.log(`${refusals} damaged backups were refused`);
  assert.ok(refusals >= 200, `${refusals}`);
});

for (const [format, way] of [
  ['plain', 'path'],
  ['custom', 'id'],
] as const)
  test(`${format}, by ${way}: restore.ts says what the check says, before anything is touched`, () =>
    assertSaysTheSame(format, way));

test('a copy that nobody spoilt brings all rows back into the live database', async () => {
  const rows = () => world.rows('SELECT i, text FROM t ORDER BY i');
  const before = await rows();
  assert.is(before.length, 1000);
  const copy = copyOf('plain');
  await world.sql(`DELETE FROM t WHERE i > 10; UPDATE t SET text = 'lost'`);
  const { restored } = await restoreHere(world, copy.id, {}, only(copy, 'id'));
  assert.is(restored, copy.id);
  assert.equal(await rows(), before);
});

test('the servers stop', world.stop);

test.run();
