/*
 * Applies prisma/migrations as `prisma migrate deploy` does: the same folders, the same table, the same advisory
 * lock, and the same refusal to go on after a migration that failed. Prisma itself would do; its engine is a
 * download, and this image has to build without a network.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { log, logConsole } from './log.ts';

const prismaLock = 72707369;
const folder = process.env.MIGRATIONS_DIR || join(import.meta.dirname, '../prisma/migrations');

type Migration = { name: string; sql: string; checksum: string };

function readMigrations(): Migration[] {
  const names = readdirSync(folder, { withFileTypes: true }).filter(entry => entry.isDirectory());
  return names
    .map(({ name }) => {
      const sql = readFileSync(join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Creates the table of applied migrations if need be, and compares it with the folder. */
async function pendingMigrations(client: pg.Client): Promise<Migration[]> {
  await client.query(`CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz,
    migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,
    started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0)`);
  const { rows } = await client.query(
    'SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL',
  );
  const failed = rows.find(row => !row.finished_at);
  if (failed) {
    throw new Error(
      `migration ${failed.migration_name} failed before: repair the database, then run: resolve --rolled-back NAME`,
    );
  }
  const applied = new Map(rows.map(row => [row.migration_name, row.checksum]));
  return readMigrations().filter(({ name, checksum }) => {
    if (applied.has(name) && applied.get(name) !== checksum)
      log('warn', 'migration was edited after it was applied', { name });
    return !applied.has(name);
  });
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  const id = randomUUID();
  await client.query('INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ($1, $2, $3)', [
    id,
    checksum,
    name,
  ]);
  try {
    await client.query(sql); // several statements in one message are one transaction
  } catch (error) {
    await client.query('UPDATE _prisma_migrations SET logs = $2 WHERE id = $1', [id, String(error)]);
    throw new Error(`migration ${name} failed, nothing of it is applied: ${(error as Error).message}`);
  }
  await client.query(
    'UPDATE _prisma_migrations SET finished_at = now(), applied_steps_count = 1 WHERE id = $1',
    [id],
  );
  log('info', 'migration applied', { name });
}

async function resolve(client: pg.Client, name: string): Promise<void> {
  const { rowCount } = await client.query(
    'UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = $1 AND finished_at IS NULL AND rolled_back_at IS NULL',
    [name],
  );
  if (rowCount !== 1) throw new Error(`${name} is not a failed migration`);
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { 'rolled-back': { type: 'string' } },
  });
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL, application_name: 'migrate' });
  await client.connect();
  try {
    // It holds for the advisory lock and for each table that a migration waits for: everything that comes after a
    // waiting ALTER TABLE waits behind it. The connection's own setting (options=-c lock_timeout=…) goes first.
    await client.query(
      "SELECT set_config('lock_timeout', '5s', false) WHERE current_setting('lock_timeout') = '0'",
    );
    await client.query('SELECT pg_advisory_lock($1)', [prismaLock]); // of this session: it's gone when the process is
    if (positionals[0] === 'deploy') {
      for (const migration of await pendingMigrations(client)) await apply(client, migration);
      log('info', 'no migration is pending');
    } else if (positionals[0] === 'status') {
      const names = (await pendingMigrations(client)).map(({ name }) => name);
      log('info', 'pending migrations', { names });
      process.exitCode = names.length > 0 ? 1 : 0;
    } else if (positionals[0] === 'resolve' && values['rolled-back']) {
      await resolve(client, values['rolled-back']);
    } else {
      throw new Error('usage: migrate.ts deploy | status | resolve --rolled-back NAME');
    }
  } finally {
    await client.end();
  }
}

logConsole();
await main().catch(error => {
  log('fatal', 'migration failed', { error });
  process.exitCode = 1;
});
