/** The database session of a running migration, found by its application name. */
import type { Config } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { percentEncoded } from '../core/format.ts';
import { log } from '../core/log.ts';
import { sleep } from '../core/signals.ts';
import { literal, runSql } from '../postgres/client.ts';
import { appPostgres } from '../postgres/limited-roles.ts';
import { query } from '../postgres/query.ts';
import { databaseUrl } from '../postgres/url.ts';

/** `application_name` in pg_stat_activity. */
const APPLICATION = 'stack-migrate';
/** Longest wait of a migration for a lock (later queries wait behind it), and of other sessions for its locks. Seconds. */
const LOCK_SECONDS = 5;
/*
 * The second setting: a server that is busy with a statement does not notice that its client is gone unless it checks,
 * and a killed process can't end the session.
 * https://www.postgresql.org/docs/15/runtime-config-connection.html#GUC-CLIENT-CONNECTION-CHECK-INTERVAL
 */
const SETTINGS = `-c lock_timeout=${LOCK_SECONDS}s -c client_connection_check_interval=2s`;

/** Options of the application's URL that are not a migration's: its pool, and what is set here. */
const OTHERS = /^(connection_limit|pool_timeout|pgbouncer|application_name|options)=/;

/**
 * @returns a database URL of the application's role with DATABASE_URL_OPTIONS such as Prisma's `schema`, which names the
 *   session {@link APPLICATION} and limits its wait for locks
 */
export function migrationUrl(config: Pick<Config, 'postgres' | 'roles' | 'urls'>, database: string): string {
  const url = databaseUrl(appPostgres(config), database);
  const parameters = [
    ...(config.urls.options ?? '').split('&').filter(option => option && !OTHERS.test(option)),
    `application_name=${APPLICATION}`,
    `options=${percentEncoded(SETTINGS)}`,
  ];
  return url + (url.includes('?') ? '&' : '?') + parameters.join('&');
}

interface Guard {
  /** The reason, if it ended the migration. */
  blocked?: OperationalError;
  stop: () => void;
}

/** Ends a migration's session when other sessions wait for its locks for longer than {@link LOCK_SECONDS}. */
export function endWhenBlocking(config: Pick<Config, 'postgres'>, database: string): Guard {
  let over = false;
  const guard: Guard = {
    stop: () => {
      over = true;
    },
  };
  const look = async () => {
    while (!over) {
      const [row] = await query<{ count: number }>(
        config.postgres,
        database,
        `SELECT count(*)::int AS count FROM pg_stat_activity AS waiting
         WHERE wait_event_type = 'Lock' AND state_change < now() - interval '${LOCK_SECONDS} seconds'
         AND pg_blocking_pids(pid) && ARRAY(SELECT pid FROM pg_stat_activity WHERE application_name = ${literal(APPLICATION)})`,
      );
      if (row && row.count > 0 && !over) {
        guard.blocked = new OperationalError(
          `the migration was ended: ${row.count} session(s) of the application waited for its locks for ${LOCK_SECONDS} s`,
          'write it so that it holds locks only for a moment: batches, CONCURRENTLY, NOT VALID and VALIDATE.',
        );
        await endSessions(config, database);
      }
      await sleep(1);
    }
  };
  look().catch(error =>
    log.warn(`stopped watching for sessions that the migration blocks: ${messageOf(error)}`),
  );
  return guard;
}

/** Ends the migration's session and waits until it is gone. A failure is a warning: the migration's own failure matters more. */
export async function endSessions({ postgres }: Pick<Config, 'postgres'>, database: string): Promise<void> {
  const sql = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE application_name = ${literal(APPLICATION)} AND datname = ${literal(database)}`;
  try {
    await runSql(postgres, database, sql, {
      purpose: 'end the migration’s session',
      timeout: 10,
      evenInterrupted: true,
    });
  } catch (error) {
    log.warn(messageOf(error));
  }
}
