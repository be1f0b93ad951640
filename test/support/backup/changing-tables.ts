/** Backups while other sessions change, hold or drop what they read. */
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Manifest } from '../../../scripts/lib/backup/manifest.ts';
import { openSession, type Session } from '../../../scripts/lib/postgres/session.ts';
import { captured } from '../core/here.ts';
import { makeBackup, restoreHere } from '../core/in-process.ts';
import { pauseProgram } from '../core/pause.ts';
import { until, type World } from '../core/world.ts';
import { rowsOfDump } from './dump-rows.ts';

/** The world as a script sees it that is started with other variables, too. */
export const withEnv = (world: World, env: Record<string, string>): World => ({
  ...world,
  env: { ...world.env, ...env },
});

/** A session of an application, for as long as `body` runs. */
export async function withClient(world: World, name: string, body: (client: Session) => Promise<void>) {
  const client = openSession(world.pg.postgres, world.database);
  try {
    await client.execute(`SET application_name = '${name}'; RESET search_path`);
    await body(client);
  } finally {
    await client.close();
  }
}

export const waiting = async (world: World) =>
  (await world.rows<{ n: number }>('SELECT count(*) AS n FROM pg_locks WHERE NOT granted'))[0]!.n;

export const rowsOf = ({ tables }: Pick<Manifest, 'tables'>) =>
  Object.fromEntries(tables.map(({ name, rows }) => [name, rows]));

export const fill = (name: string, rows: number) =>
  `CREATE TABLE ${name} AS SELECT i FROM generate_series(1, ${rows}) AS i;`;
export const refill = (name: string, rows: number) =>
  `TRUNCATE ${name}; INSERT INTO ${name} SELECT generate_series(1, ${rows})`;

/** Backs up and captures what is logged; `meanwhile` runs at the same time. */
export async function backUpWhile(world: World, meanwhile: () => Promise<unknown>) {
  const [done] = await Promise.all([captured(() => makeBackup(world, { upload: false })), meanwhile()]);
  assert.is(done.code, 0, done.error);
  return { manifest: done.value!, stderr: done.stderr };
}

/** Asserts something of a backup: that its dump has the rows of its manifest. */
export type Proof = (world: World, manifest: Manifest) => Promise<void>;

/** Asserts that a plain dump has the tables and rows of its manifest, without a restore. */
export const assertDumpHolds: Proof = async (world, manifest) => {
  assert.equal(rowsOfDump(join(world.env.BACKUP_DIR!, manifest.artifact.name)), rowsOf(manifest));
};

/** Asserts that a restore of the backup passes its comparison with the manifest. */
export const assertRestores: Proof = async (world, { id }) => {
  await restoreHere(world, id, { database: `restored_${id.slice(-6)}` });
};

/** What truncates, rewrites or drops a table during the dump waits until its rows are counted. */
export async function waitUntilCounted(world: World, prove: Proof): Promise<void> {
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
  await prove(world, manifest);
}

/** A change that comes before pg_dump has its locks: the backup gives way and takes a new snapshot. */
export async function giveWay(world: World, prove: Proof): Promise<void> {
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
  await prove(world, manifest);
}

/**
 * Tables that change while the backup waits for its locks.
 * @param all also one that is only refilled, for which it does not start again
 */
export async function changeBeforeTheLocks(world: World, prove: Proof, all = true): Promise<void> {
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
    await prove(world, manifest);
    if (!all) return;

    await client.execute('BEGIN; LOCK TABLE a_table');
    const truncated = await backUpWhile(world, async () => {
      await until('the backup waits', async () => (await waiting(world)) === 1);
      await client.execute(`${refill('a_table', 85)}; COMMIT`);
    });
    assert.is(rowsOf(truncated.manifest).a_table, 85);
    await prove(world, truncated.manifest);
    assert.not.match(truncated.stderr, 'starting again');
  });
}
