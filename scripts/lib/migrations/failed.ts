/** Migrations that began and did not finish: Prisma runs no other until each is resolved. */
import type { Config } from '../config/config.ts';
import { word } from '../core/command-line.ts';
import { OperationalError, usageError } from '../core/errors.ts';
import { utc } from '../core/format.ts';
import { queryOf } from '../postgres/query.ts';
import { hasPrismaTable } from './pending.ts';
import { migrate } from './run.ts';

interface FailedMigration {
  name: string;
  startedAt: string;
  /** What it wrote, shortened. */
  logs: string;
}

/** https://www.prisma.io/docs/orm/prisma-migrate/workflows/patching-and-hotfixing */
async function failedMigrations({ postgres }: Config): Promise<FailedMigration[]> {
  const query = queryOf(postgres, postgres.database);
  if (!(await hasPrismaTable(query))) return [];
  return query<FailedMigration>(
    `SELECT migration_name AS name, started_at AS "startedAt", left(coalesce(logs, ''), 1000) AS logs
     FROM public._prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL ORDER BY started_at`,
  );
}

/**
 * @param version the tag or digest that is being deployed
 * @throws OperationalError that names a failed migration, with the command that resolves it
 */
export async function refuseFailed(config: Config, version: string): Promise<void> {
  const [failed] = await failedMigrations(config);
  if (!failed) return;
  const { name, startedAt, logs } = failed;
  throw new OperationalError(
    `migration ${JSON.stringify(name)}, begun ${utc(startedAt)}, has failed or still runs: no other is run before it is resolved`,
    'undo what it left in the database, then record that: ' +
      `./scripts/deploy.ts ${word(version)} --resolve ${word(name)}`,
    undefined,
    { details: logs.replace(/[^\P{Cc}\n]/gu, ' ') },
  );
}

/** @throws exit code 2 when no migration of this name has failed, or no migrations are configured */
export async function requireFailed(config: Config, name: string): Promise<void> {
  if (!config.migrate) throw usageError('MIGRATE_COMMAND is not set', 'set it in the env file.');
  const failed = await failedMigrations(config);
  if (failed.some(each => each.name === name)) return;
  const names = failed.map(each => JSON.stringify(each.name)).join(', ');
  throw usageError(
    `${JSON.stringify(name)} is no failed migration`,
    names ? `failed: ${names}.` : 'no migration has failed: deploy without --resolve.',
  );
}

/** Records a failed migration as rolled back, with Prisma in a container of the image. @throws like {@link migrate} */
export async function resolveFailed(config: Config, image: string, name: string): Promise<void> {
  const command = resolveCommand(config.migrate!.command, name);
  const hint = 'see what Prisma says; the record is in the table _prisma_migrations.';
  await migrate(config, { command, image }, config.postgres.database, { hint });
}

/** @returns the command line that resolves, by that which migrates: of the same program where it ends in `deploy` */
export function resolveCommand(migrateCommand: string, name: string): string {
  const [, program = 'npx prisma migrate '] = /^(.*\s)deploy\s*$/s.exec(migrateCommand) ?? [];
  return `${program}resolve --rolled-back ${word(name)}`;
}
