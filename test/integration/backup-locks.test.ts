import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  assertDumpHolds,
  assertRestores,
  backUpWhile,
  changeBeforeTheLocks,
  fill,
  giveWay,
  refill,
  rowsOf,
  waitUntilCounted,
  withClient,
  withEnv,
} from '../support/backup/changing-tables.ts';
import { makeBackup, refused } from '../support/core/in-process.ts';
import { pauseProgram } from '../support/core/pause.ts';
import { createTurns } from '../support/core/turns.ts';

const { inTurn, stop } = await createTurns();

test('what truncates, rewrites or drops a table during the dump waits until its rows are counted', () =>
  inTurn(world => waitUntilCounted(world, assertRestores)));

/** Also one that is only refilled: then it does not start again. These, too, with a restore of each: test/long/integration/backup-locks.test.ts. */
test('a change that comes before pg_dump has its locks: the backup gives way and takes a new snapshot', () =>
  inTurn(world => giveWay(world, assertDumpHolds)));

test('tables that change while the backup waits for its locks', () =>
  inTurn(world => changeBeforeTheLocks(world, assertDumpHolds, false)));

test('a lock that stays is named with its holder, tables that POSTGRES_USER may not read with what to grant', () =>
  inTurn(async plain => {
    const world = withEnv(plain, { BACKUP_LOCK_WAIT: '1s' });
    await world.sql(`${fill('small', 5)} CREATE TABLE _prisma_migrations
        (migration_name text, finished_at timestamptz, rolled_back_at timestamptz);
      CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM small`);
    const locks = [
      ['LOCK TABLE _prisma_migrations IN ACCESS EXCLUSIVE MODE', 'public._prisma_migrations'],
      ['REFRESH MATERIALIZED VIEW totals', 'public.totals'], // which pg_dump reads, and nothing can lock
    ];
    for (const [sql, target] of locks) {
      await withClient(world, 'night job', async client => {
        await client.execute(`BEGIN; ${sql}`);
        const [{ pid }] = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')) as [
          { pid: number },
        ];
        await refused(
          () => makeBackup(world, { upload: false }),
          1,
          new RegExp(
            `^waited 1\\.0 s for a lock on ${target}, held by process ${pid} \\(application night job, ` +
              'user postgres, idle in transaction, query started \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC\\)\n',
          ),
          new RegExp(`pg_terminate_backend\\(${pid}\\)`),
          /BACKUP_LOCK_WAIT/,
        );
      });
    }
    await world.sql(`DROP MATERIALIZED VIEW totals; DROP TABLE small, _prisma_migrations;
      ${fill('open', 1)} ${fill('"Closed"', 1)} CREATE SCHEMA inner_; ${fill('inner_.t', 1)}
      CREATE ROLE limited LOGIN PASSWORD 'limited'; GRANT SELECT ON open, inner_.t TO limited`);
    const limited = withEnv(world, { POSTGRES_USER: 'limited', POSTGRES_PASSWORD: 'limited' });
    const attempt = () => makeBackup(limited, { upload: false });
    await refused(
      attempt,
      1,
      /limited may not read 2 tables: "inner_"\."t", "public"\."Closed"/,
      /GRANT pg_read_all_data TO "limited"; or GRANT USAGE/,
    );
    await world.sql('GRANT USAGE ON SCHEMA inner_ TO limited; GRANT SELECT ON "Closed" TO limited');
    assert.equal(rowsOf(await attempt()), { Closed: 1, open: 1, t: 1 });
  }));

/**
 * Also with a prepared transaction that holds a lock: test/long/integration/backup-locks.test.ts. Changes settings of the
 * server, so it comes last.
 */
test('more tables than the server has locks for', () =>
  inTurn(async world => {
    const settings = { max_locks_per_transaction: 10, max_connections: 20 };
    for (const [name, value] of Object.entries(settings))
      await world.sql(`ALTER SYSTEM SET ${name} = ${value}`, 'postgres');
    await world.pg.halt();
    await world.pg.resume();
    for (let i = 0; i < 3; i++) {
      await world.sql(`DO $$ BEGIN FOR i IN 1..50 LOOP
        EXECUTE format('CREATE TABLE t_${i}_%s AS SELECT 1 AS i', i); END LOOP; END $$`);
    }
    const pause = pauseProgram(world, 'pg_dump', '--snapshot', 'after');
    const { manifest, stderr } = await backUpWhile(withEnv(world, pause.env), async () => {
      await pause.reached();
      await world.sql(refill('t_1_1', 5)); // nothing holds it up
      pause.go();
    });
    assert.match(
      stderr,
      'table public.t_1_1 was truncated, rewritten or dropped during the dump; starting again',
    );
    assert.is(manifest.tables.length, 150);
    assert.is(rowsOf(manifest).t_1_1, 5);
    await assertDumpHolds(world, manifest);
  }));

test('the servers stop', stop);

test.run();
