import type { Config } from '../config/config.ts';
import { type Query, queryOf } from '../postgres/query.ts';
import { migrationFiles } from './image-files.ts';
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
    .filter(({ findings }) => findings.some(({ kind, accepted }) => kind === 'contracts' && !accepted))
    .map(({ name }) => name);
}

/**
 * Compares the migrations in an image with those that are applied to the database.
 *
 * @returns the pending ones in their order, or undefined if the image has no directory of migrations
 * @throws like {@link migrationFiles}; OperationalError when PostgreSQL can't be reached
 */
export async function pendingMigrations(config: Config, image: string): Promise<Pending[] | undefined> {
  const files = await migrationFiles(config, image);
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

/** @returns the names in Prisma's table of migrations, the last applied one last; none without that table @throws CommandError */
export async function appliedMigrations(query: Query): Promise<string[]> {
  if (!(await hasPrismaTable(query))) return [];
  const rows = await query<{ name: string }>(
    `SELECT migration_name AS name FROM public._prisma_migrations
     WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY finished_at, migration_name`,
  );
  return rows.map(({ name }) => name);
}

/** @returns whether Prisma has migrated the database @throws CommandError */
export async function hasPrismaTable(query: Query): Promise<boolean> {
  const [row] = await query<{ isThere: boolean }>(
    `SELECT to_regclass('public._prisma_migrations') IS NOT NULL AS "isThere"`,
  );
  return row!.isThere;
}
