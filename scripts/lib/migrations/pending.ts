import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import type { Config } from '../config/config.ts';
import { CommandError, sh } from '../core/shell.ts';
import { type Query, queryOf } from '../postgres/client.ts';
import { lintMigrations } from './lint.ts';
import { readNames } from './names.ts';
import type { Risk } from './risk.ts';

/** A migration of the new image that is not applied to the database yet. */
export interface Pending {
  name: string;
  findings: Risk[];
}

/** @returns the names of the migrations after which the previous release may fail */
export function contracting(migrations: Pending[]): string[] {
  return migrations
    .filter(({ findings }) => findings.some(({ kind }) => kind === 'contracts'))
    .map(({ name }) => name);
}

/**
 * Compares the migrations in an image with those that are applied to the database. The image is not run: its files are
 * copied out of a container that is never started.
 *
 * @returns the pending ones in their order, or undefined if the image has no directory of migrations
 * @throws CommandError when Docker can't read the image; OperationalError when PostgreSQL can't be reached
 */
export async function pendingMigrations(config: Config, image: string): Promise<Pending[] | undefined> {
  const files = await migrationsOf(config, image);
  if (files === undefined) return undefined;
  const { postgres } = config;
  const query = queryOf(postgres, postgres.database);
  const applied = await appliedMigrations(query);
  const pending = [...files].filter(([name]) => !applied.includes(name));
  if (pending.length === 0) return [];
  const found = await lintMigrations(
    pending.map(([, sql]) => sql),
    await readNames(query),
  );
  return pending.map(([name], index) => ({ name, findings: found[index]! }));
}

async function migrationsOf(config: Config, image: string): Promise<Map<string, string> | undefined> {
  const inspect = sh(`inspect ${image}`);
  const workdir = (await inspect`docker image inspect --format ${'{{.Config.WorkingDir}}'} ${image}`) || '/';
  const directory = await mkdtemp(join(tmpdir(), 'migrations-'));
  const purpose = `read the migrations of ${image}`;
  const id = await sh(purpose)`docker create --network none ${image}`;
  try {
    const source = `${id}:${posix.resolve(workdir, config.deploy.migrationsDir)}/.`;
    await sh(purpose)`docker cp --quiet ${source} ${directory}`;
    const entries = await readdir(directory, { withFileTypes: true });
    const names = entries.filter(entry => entry.isDirectory()).map(({ name }) => name);
    const read = (name: string) => readFile(join(directory, name, 'migration.sql'), 'utf8');
    return new Map(await Promise.all(names.sort().map(async name => [name, await read(name)] as const)));
  } catch (error) {
    if (error instanceof CommandError && /could not find the file|no such file/i.test(error.stderr))
      return undefined;
    throw error;
  } finally {
    await sh(purpose, { evenInterrupted: true })`docker rm --force ${id}`;
    await rm(directory, { recursive: true, force: true });
  }
}

/** @returns the names in Prisma's table of migrations, the last applied one last; none without that table @throws CommandError */
export async function appliedMigrations(query: Query): Promise<string[]> {
  const [row] = await query<{ isThere: boolean }>(
    `SELECT to_regclass('public._prisma_migrations') IS NOT NULL AS "isThere"`,
  );
  if (!row!.isThere) return [];
  const rows = await query<{ name: string }>(
    `SELECT migration_name AS name FROM public._prisma_migrations
     WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY finished_at, migration_name`,
  );
  return rows.map(({ name }) => name);
}
