import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Manifest } from '../../scripts/lib/backup/manifest.ts';
import { openSession, type Session } from '../../scripts/lib/postgres/session.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { pauseProgram } from '../support/core/pause.ts';
import { createTurns } from '../support/core/turns.ts';
import { until, type World } from '../support/core/world.ts';

const { inTurn, stop } = await createTurns();

/** The world as a script sees it that is started with other variables, too. */
const withEnv = (world: World, env: Record<string, string>): World => ({
  ...world,
  env: { ...world.env, ...env },
});

/** A session of an application, for as long as `body` runs. */
async function withClient(world: World, name: string, body: (client: Session) => Promise<void>) {
  const client = openSession(world.pg.postgres, world.database);
  try {
    await client.execute(`SET application_name = '${name}'; RESET search_path`);
    await body(client);
  } finally {
    await client.close();
  }
}

const waiting = async (world: World) =>
  (await world.rows<{ n: number }>('SELECT count(*) AS n FROM pg_locks WHERE NOT granted'))[0]!.n;

const rowsOf = ({ tables }: Pick<Manifest, 'tables'>) =>
  Object.fromEntries(tables.map(({ name, rows }) => [name, rows]));

const fill = (name: string, rows: number) =>
  `CREATE TABLE ${name} AS SELECT i FROM generate_series(1, ${rows}) AS i;`;
const refill = (name: string, rows: number) =>
  `TRUNCATE ${name}; INSERT INTO ${name} SELECT generate_series(1, ${rows})`;

/** Backs up and captures what is logged; `meanwhile` runs at the same time. */
async function backUpWhile(world: World, meanwhile: () => Promise<unknown>) {
  const [done] = await Promise.all([captured(() => makeBackup(world, { upload: false })), meanwhile()]);
  assert.is(done.code, 0, done.error);
  return { manifest: done.value!, stderr: done.stderr };
}

/** Asserts that a restore of the backup passes its comparison with the manifest. */
async function assertRestores(world: World, { id }: Manifest): Promise<void> {
  await restoreHere(world, id, { database: `restored_${id.slice(-6)}` });
}

test('what truncates, rewrites or drops a table during the dump waits until its rows are counted', () =>
  inTurn(async world => {
    const changes: Record<string, string> = {
      staging: refill('staging', 60),
      retyped: 'ALTER TABLE retyped ALTER i TYPE text',
      repacked: 'VACUUM FULL repacked',
      dropped: 'DROP TABLE dropped',
      clustered: 'CLUSTER clustered USING clustered_index',
    };
    for (const name of Object.keys(changes)) await world.sql(fill(name, 50));
    await world.sql(`CREATE INDEX clustered_index ON clustered (i);
      CREATE TABLE parent (i int) PARTITION BY LIST (i); CREATE TABLE child PARTITION OF parent FOR VALUES IN (1);
      INSERT INTO parent VALUES (1)`);
    changes.parent = 'ALTER TABLE parent DETACH PARTITION child';
    const pause = pauseProgram(world, 'pg_dump', '--snapshot', 'after');
    const { manifest } = await backUpWhile(withEnv(world, pause.env), async () => {
      await pause.reached();
      const over = Promise.all(Object.values(changes).map(sql => world.sql(sql)));
      await until('every change waits', async () => (await waiting(world)) >= Object.keys(changes).length);
      pause.go();
      await over;
    });
    assert.equal(rowsOf(manifest), {
      child: 1,
      clustered: 50,
      dropped: 50,
      repacked: 50,
      retyped: 50,
      staging: 50,
    });
    assert.equal(await world.rows('SELECT count(*) AS n FROM staging'), [{ n: 60 }], 'it was only put off');
    await assertRestores(world, manifest);
  }));

test('a change that comes before pg_dump has its locks: the backup gives way and takes a new snapshot', () =>
  inTurn(async world => {
    await world.sql(fill('staging', 50));
    const pause = pauseProgram(world, 'pg_dump', '--snapshot', 'before');
    const { manifest, stderr } = await backUpWhile(withEnv(world, pause.env), async () => {
      await pause.reached();
      const over = world.sql(refill('staging', 60));
      await until('the change waits', async () => (await waiting(world)) === 1);
      pause.go();
      await over;
    });
    assert.match(stderr, /process \d+ \(.*\) waits for this backup to change public\.staging.*new snapshot/);
    assert.equal(rowsOf(manifest), { staging: 60 });
    await assertRestores(world, manifest);
  }));

test('tables that change while the backup waits for its locks', () =>
  inTurn(async world => {
    await world.sql(fill('a_table', 50) + fill('b_table', 50) + fill('dropped', 50));
    await withClient(world, 'migration', async client => {
      await client.execute(`BEGIN; LOCK TABLE a_table; ${refill('b_table', 60)}`);
      const { manifest, stderr } = await backUpWhile(world, async () => {
        await until('the backup waits', async () => (await waiting(world)) === 1);
        await world.sql(`DROP TABLE dropped; ${fill('created', 70)}`);
        await client.execute(`${refill('a_table', 80)}; COMMIT`);
      });
      assert.match(stderr, 'tables were created, dropped or renamed; starting again with a new snapshot');
      assert.equal(rowsOf(manifest), { a_table: 80, b_table: 60, created: 70 });
      await assertRestores(world, manifest);

      await client.execute('BEGIN; LOCK TABLE a_table');
      const truncated = await backUpWhile(world, async () => {
        await until('the backup waits', async () => (await waiting(world)) === 1);
        await client.execute(`${refill('a_table', 85)}; COMMIT`);
      });
      assert.is(rowsOf(truncated.manifest).a_table, 85);
      assert.not.match(truncated.stderr, 'starting again');

      await client.execute('BEGIN; LOCK TABLE a_table');
      const again = await backUpWhile(world, async () => {
        await until('the backup waits', async () => (await waiting(world)) === 1);
        await world.sql(fill('later', 90));
        await client.execute('COMMIT');
      });
      assert.match(again.stderr, 'starting again');
      assert.is(rowsOf(again.manifest).later, 90);
    });
  }));

test('a lock that stays is named with its holder, and what to do', () =>
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
    await makeBackup(world, { upload: false });
  }));

test('tables that POSTGRES_USER may not read are named, with what to grant', () =>
  inTurn(async world => {
    await world.sql(`${fill('open', 1)} ${fill('"Closed"', 1)} CREATE SCHEMA inner_; ${fill('inner_.t', 1)}
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

/** Changes settings of the server, so it comes last. */
test('more tables than the server has locks for', () =>
  inTurn(async world => {
    const settings = { max_locks_per_transaction: 10, max_connections: 20, max_prepared_transactions: 1 };
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
    await assertRestores(world, manifest);

    await world.sql(`BEGIN; LOCK TABLE t_1_2; PREPARE TRANSACTION 'it''s pending'`);
    await refused(
      () => makeBackup(withEnv(world, { BACKUP_LOCK_WAIT: '1s' }), { upload: false }),
      1,
      /a lock on public\.t_1_2, held by the prepared transaction it's pending\n/,
      /COMMIT PREPARED or ROLLBACK PREPARED it's pending/,
    );
    await world.sql(`ROLLBACK PREPARED 'it''s pending'`);
  }));

test('the servers stop', stop);

test.run();
