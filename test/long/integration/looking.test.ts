/** Each script that only looks, in each way: it changes nothing. */
import { test } from 'uvu';
import {
  assertCloseNone,
  assertLeftAlone,
  assertMakeNone,
  assertPasted,
  type Look,
  OF_OTHERS,
} from '../../support/backup/looks.ts';
import { makeBackup } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';

const { inTurn, stop } = await createTurns();

const LOOKS: Look[] = [
  ['backup', '--dry-run'],
  ['backup', '--dry-run', '--format', 'custom', '--json'],
  ['restore', 'latest', '--dry-run'],
  ['restore', 'latest', '--from', 's3', '--dry-run'],
  ['prune-backups', '--dry-run'],
  ['verify-backup', 'latest'],
  ['verify-backup', 'latest', '--from', 's3'],
  ['list-backups'],
];

test('with directories that others can enter: no look closes them', () =>
  inTurn(async world => {
    await makeBackup(world);
    await assertCloseNone(world, LOOKS);
  }));

test('on a new server, with no directories at all: no look makes one, but for the record of a check', () =>
  inTurn(async world => {
    await makeBackup(world);
    await assertMakeNone(
      world,
      LOOKS.filter(([script]) => script !== 'verify-backup'),
    );
  }));

for (const format of ['plain', 'custom'] as const)
  test(`${format}: the commands that backup.ts --dry-run shows make these files when they are pasted`, () =>
    inTurn(world => assertPasted(world, format)));

for (const [what, make] of Object.entries(OF_OTHERS))
  test(`a directory of others is refused and not changed: ${what}`, () =>
    inTurn(world => assertLeftAlone(world, make)));

test('the servers stop', stop);

test.run();
