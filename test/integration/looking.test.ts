/** A run that only looks changes nothing: no mode, no file, no directory, no object, not even the time of a change. */
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  assertCloseNone,
  assertLeftAlone,
  assertMakeNone,
  assertPasted,
  OF_OTHERS,
} from '../support/backup/looks.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';

const { inTurn, stop } = await createTurns();

/** With more arguments: test/long/integration/looking.test.ts. */
test('with directories that others can enter no look closes them, and with none at all no look makes one', () =>
  inTurn(async world => {
    await makeBackup(world);
    await assertCloseNone(world, [['restore', 'latest', '--dry-run']]);
    await assertMakeNone(world, []); // backup.ts --dry-run: below
  }));

/** In both formats: test/long/integration/looking.test.ts. */
test('the commands that backup.ts --dry-run shows make these files when they are pasted', () =>
  inTurn(async world => {
    await assertPasted(world, 'plain');
  }));

/** The others: test/long/integration/looking.test.ts. */
test('a directory of others is refused and not changed', () =>
  inTurn(world => assertLeftAlone(world, OF_OTHERS['a home directory'])));

test('one that holds only dumps, of whatever origin, is made private by the first backup', () =>
  inTurn(async world => {
    const directory = world.env.BACKUP_DIR!;
    mkdirSync(dirname(directory), { recursive: true });
    mkdirSync(directory);
    for (const name of ['neurmatic_20250106.sql.gz', 'old.dump', 'x.sql'])
      writeFileSync(join(directory, name), '');
    chmodSync(directory, 0o755);
    await makeBackup(world);
    assert.is(statSync(directory).mode & 0o777, 0o700);
  }));

test('the servers stop', stop);

test.run();
