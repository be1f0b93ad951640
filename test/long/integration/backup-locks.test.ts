import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  assertRestores,
  backUpWhile,
  changeBeforeTheLocks,
  fill,
  giveWay,
  refill,
  rowsOf,
  waiting,
  withClient,
  withEnv,
} from '../../support/backup/changing-tables.ts';
import { makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { pauseProgram } from '../../support/core/pause.ts';
import { createTurns } from '../../support/core/turns.ts';
import { until, type World } from '../../support/core/world.ts';

const { inTurn, stop } = await createTurns();

/** Makes tables of one row each: a thousand in a transaction, which the server's lock table has room for. */
async function createTables(world: World, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += 1000) {
    await world.sql(`DO $$ BEGIN FOR i IN ${first}..${Math.min(first + 999, to - 1)} LOOP
      EXECUTE format('CREATE TABLE t%s AS SELECT 1 AS i', i); END LOOP; END $$`);
  }
}

/** With a small lock table: test/integration/backup-locks.test.ts. */
test('many tables on the settings that PostgreSQL comes with', () =>
  inTurn(async world => {
    const [settings] = await world.rows(
      `SELECT current_setting('max_locks_per_transaction') AS locks, current_setting('max_connections') AS sessions`,
    );
    assert.equal(settings, { locks: '64', sessions: '100' });
    await createTables(world, 0, 3000);
    const locked = await makeBackup(world, { upload: false });
    assert.is(locked.tables.length, 3000);

    await createTables(world, 3000, 7000);
    const pause = pauseProgram(world, 'pg_dump', '--snapshot', 'after');
    const backup = makeBackup({ ...world, env: { ...world.env, ...pause.env } }, { upload: false });
    await pause.reached();
    await world.sql('TRUNCATE t0; INSERT INTO t0 VALUES (1), (2)');
    pause.go();
    const { id, tables } = await backup;
    assert.is(tables.length, 7000);
    assert.is(tables.find(({ name }) => name === 't0')!.rows, 2);
    await restoreHere(world, id, { database: 'restored' });

    await createTables(world, 7000, 14_000);
    await refused(
      () => makeBackup(world, { upload: false }),
      1,
      /no room for the locks of a dump of 14,000 tables/,
      /set max_locks_per_transaction to 280 or more, and restart PostgreSQL/,
    );
  }));

test('a change that comes before pg_dump has its locks: the backup gives way and takes a new snapshot', () =>
  inTurn(world => giveWay(world, assertRestores)));

test('tables that change while the backup waits for its locks', () =>
  inTurn(world => changeBeforeTheLocks(world, assertRestores)));

test('a table that is created while the backup waits for its locks', () =>
  inTurn(async world => {
    await world.sql(fill('a_table', 50));
    await withClient(world, 'migration', async client => {
      await client.execute('BEGIN; LOCK TABLE a_table');
      const again = await backUpWhile(world, async () => {
        await until('the backup waits', async () => (await waiting(world)) === 1);
        await world.sql(fill('later', 90));
        await client.execute('COMMIT');
      });
      assert.match(again.stderr, 'starting again');
      assert.is(rowsOf(again.manifest).later, 90);
      await assertRestores(world, again.manifest);
    });
  }));

/** Changes settings of the server, so it comes last. */
test('more tables than the server has locks for: what is dumped restores', () =>
  inTurn(async world => {
    const settings = { max_locks_per_transaction: 10, max_connections: 20, max_prepared_transactions: 1 };
    for (const [name, value] of Object.entries(settings))
      await world.sql(`ALTER SYSTEM SET ${name} = ${value}`, 'postgres');
    await world.pg.halt();
    await world.pg.resume();
    await createTables(world, 0, 150);
    const pause = pauseProgram(world, 'pg_dump', '--snapshot', 'after');
    const { manifest, stderr } = await backUpWhile(withEnv(world, pause.env), async () => {
      await pause.reached();
      await world.sql(refill('t1', 5)); // nothing holds it up
      pause.go();
    });
    assert.match(stderr, 'table public.t1 was truncated, rewritten or dropped during the dump');
    assert.is(rowsOf(manifest).t1, 5);
    await assertRestores(world, manifest);

    await world.sql(`BEGIN; LOCK TABLE t2; PREPARE TRANSACTION 'it''s pending'`);
    await refused(
      () => makeBackup(withEnv(world, { BACKUP_LOCK_WAIT: '1s' }), { upload: false }),
      1,
      /a lock on public\.t2, held by the prepared transaction it's pending\n/,
      /COMMIT PREPARED or ROLLBACK PREPARED it's pending/,
    );
    await world.sql(`ROLLBACK PREPARED 'it''s pending'`);
  }));

test('the servers stop', stop);

test.run();
