import { mkdirSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { identifier } from '../../../scripts/lib/postgres/client.ts';
import { finishHere, makeBackup, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { inWorld } from '../../support/core/world.ts';
import { databases } from '../../support/postgres/compare.ts';
import {
  assertPasswordHidden,
  NAME,
  PASSWORD,
  roundTrip,
  succeed,
} from '../../support/postgres/odd-names.ts';

const { inTurn, stop } = await createTurns();

test('a database, a password and directories with every character that a shell minds', async () => {
  const directory = join(mkdtempSync(join(tmpdir(), 'world-')), `it's a "directory" $HOME & \`x\` é`);
  mkdirSync(directory);
  try {
    await inWorld(
      async world => {
        await world.sql('CREATE TABLE t AS SELECT generate_series(1, 10) AS i');
        let last = '';
        for (const format of ['plain', 'custom']) {
          const { id } = await roundTrip(world, format, format === 'plain' ? 'local' : 's3');
          last = id;
          const [undone, finished] =
            format === 'plain'
              ? [
                  await succeed(world, 'restore', '--undo', '--yes'),
                  await succeed(world, 'restore', '--finish', '--yes'),
                ]
              : [await restoreHere(world, undefined, { undo: true }), await finishHere(world)];
          assert.is((await world.rows('SELECT i FROM t')).length, 11);
          assert.equal(finished.dropped, [undone.kept]);
          await world.sql('DELETE FROM t WHERE i = 0');
        }
        const other = `dbname=postgres user='x`;
        await restoreHere(world, 'latest', { database: other });
        assert.is((await world.rows('SELECT i FROM t', other)).length, 10);
        assert.equal(await databases(world), [NAME, other].sort());
        const { verified } = await succeed(world, 'verify-backup', 'latest', '--from', 's3');
        assert.is(verified, last);
        assertPasswordHidden(directory);
      },
      { database: NAME, password: PASSWORD, directory },
    );
  } finally {
    await rm(join(directory, '..'), { recursive: true, force: true });
  }
});

test('names that libpq would take for an option, an address or a connection string', () =>
  inTurn(async world => {
    for (const database of ['-dash', 'host=example', 'postgresql://x/y', '%', '"', '-h=example %"']) {
      await world.sql(`CREATE DATABASE ${identifier(database)}`, 'postgres');
      await world.sql('CREATE TABLE t AS SELECT 1 AS i', database);
      world.env.POSTGRES_DB = database;
      await makeBackup(world, { format: 'custom', upload: false });
      await world.sql('DROP TABLE t', database);
      await restoreHere(world, 'latest');
      assert.equal(await world.rows('SELECT i FROM t', database), [{ i: 1 }]);
    }
  }));

test('the servers stop', stop);

test.run();
