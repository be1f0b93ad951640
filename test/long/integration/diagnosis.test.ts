import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSession } from '../../../scripts/lib/postgres/session.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { begin, change, stateOf } from '../../support/core/expect.ts';
import { makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { renameDatabase } from '../../support/postgres/rename-database.ts';

const { inTurn, stop } = await createTurns();

test('a server without a database postgres: back up, restore, undo and finish through another one', () =>
  inTurn(async world => {
    await begin(world);
    await renameDatabase(world, 'postgres', 'main, =db');
    const env = { POSTGRES_MAINTENANCE_DB: 'main, =db' };
    try {
      await makeBackup(world, {}, env);
      await change(world, 'changed');
      const session = openSession(configOf(world, env).postgres, 'app'); // is ended by a session of that database
      await session.query('SELECT 1');
      await restoreHere(world, 'latest', {}, env).finally(session.close);
      assert.is(await stateOf(world), 'backed up');
      await restoreHere(world, undefined, { undo: true }, env);
      assert.is(await stateOf(world), 'changed');
      await restoreHere(world, undefined, { finish: true }, env);
      await refused(
        () => restoreHere(world, 'latest', {}, { POSTGRES_MAINTENANCE_DB: 'app' }),
        2,
        /connect to app to rename databases/,
      );
    } finally {
      await renameDatabase(world, 'main, =db', 'postgres');
    }
  }));

test('the servers stop', stop);

test.run();
