/* Backups that are cut or changed at every tenth, in every way to name them; test/integration/damage.test.ts has some. */
import { unlinkSync } from 'node:fs';
import { test } from 'uvu';
import { assertRefused, cutAt, everyTenth, FORMATS, TENTHS, world } from '../../support/backup/damage.ts';

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

test('the servers stop', world.stop);

test.run();
