/** pg_cron in a copy of a database: https://github.com/citusdata/pg_cron */
import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { identifier, literal, runSql } from '../postgres/client.ts';
import { maintenanceOf } from '../postgres/databases.ts';
import { drop } from '../postgres/drop.ts';
import { query } from '../postgres/query.ts';

/*
 * pg_cron can be created in the database that cron.database_name names, and in one of this name, which its own tests have.
 * Its jobs run from the former only: those in a copy do not run.
 */
const ALLOWED = 'contrib_regression';

/** The comment of a database that has that name for a moment. */
const MARK = 'a copy that a restore makes';

/* Its tables show each role the jobs of its own, and take no COPY from others than their owner. */
const rowSecurity = (action: 'ENABLE' | 'DISABLE') =>
  ['job', 'job_run_details'].map(
    table => `ALTER TABLE IF EXISTS cron.${table} ${action} ROW LEVEL SECURITY;`,
  );

/** What POSTGRES_USER runs after a load by another role. */
export const CLOSE_CRON = rowSecurity('ENABLE');

/**
 * Creates pg_cron in an empty database, so that the statement of a dump that creates it does nothing.
 *
 * @param loader the role that loads its rows, until {@link CLOSE_CRON}; undefined: POSTGRES_USER
 * @throws OperationalError where another database has the name that is needed; CommandError
 */
export async function createCron(postgres: Postgres, name: string, loader?: string): Promise<void> {
  const maintenance = maintenanceOf(postgres);
  const run = (database: string, sql: string) =>
    runSql(postgres, database, sql, { purpose: `create pg_cron in ${name}`, timeout: 60 });
  const [taken] = await query<{ comment: string | null }>(
    postgres,
    maintenance,
    `SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = ${literal(ALLOWED)}`,
  );
  if (taken && taken.comment !== MARK) {
    throw new OperationalError(
      `pg_cron can be created in a copy only while it is called ${ALLOWED}, and there is such a database`,
      `rename that database, or drop it.`,
    );
  }
  if (taken) await drop(postgres, ALLOWED); // left by a run that was killed
  const rename = (from: string, to: string, comment: string) =>
    run(
      maintenance,
      `BEGIN; ALTER DATABASE ${identifier(from)} RENAME TO ${identifier(to)};
       COMMENT ON DATABASE ${identifier(to)} IS ${comment}; COMMIT`,
    );
  await rename(name, ALLOWED, literal(MARK));
  try {
    const open = loader
      ? [`GRANT USAGE ON SCHEMA cron TO ${identifier(loader)};`, ...rowSecurity('DISABLE')]
      : [];
    await run(ALLOWED, ['SET search_path = public; CREATE EXTENSION pg_cron;', ...open].join('\n'));
  } finally {
    await rename(ALLOWED, name, 'NULL');
  }
}
