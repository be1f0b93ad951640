import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { CommandError } from '../core/shell.ts';
import { deferSignals, throwIfSignalled } from '../core/signals.ts';
import { sessionName } from './abandoned.ts';
import { identifier, literal, runSql } from './client.ts';
import { maintenanceOf } from './databases.ts';
import { query } from './query.ts';
import { openSession } from './session.ts';

/**
 * How long a swap waits for a lock, in seconds, and how often. While it waits, the database takes no new sessions;
 * between two attempts it does.
 */
export const PATIENCE = { lockSeconds: 5, attempts: 10, pauseSeconds: 0.5 };

/**
 * Renames `live` to `kept` and `next` to `live`, in one transaction: after a kill, both are renamed or neither.
 * The first rename blocks new sessions and waits up to 5 s for the others to end; meanwhile a second session ends them.
 * A signal is obeyed between two attempts.
 *
 * @param kept undefined when there is no live database
 * @throws CommandError and Interrupted: nothing is renamed, and nothing goes on in the server; OutcomeUnknown
 */
export async function swap(
  postgres: Postgres,
  live: string,
  next: string,
  kept: string | undefined,
  { lockSeconds, attempts, pauseSeconds } = PATIENCE,
): Promise<void> {
  const rename = (from: string, to: string) =>
    `ALTER DATABASE ${identifier(from)} RENAME TO ${identifier(to)}`;
  const renames = [...(kept ? [rename(live, kept)] : []), rename(next, live)];
  await deferSignals(async () => {
    for (let attempt = 1; ; attempt++) {
      const name = sessionName();
      const blockers: string[] = [];
      try {
        await whileEndingSessions(postgres, [live, next], name, blockers, () =>
          runSql(postgres, maintenanceOf(postgres), `BEGIN; ${renames.join('; ')}; COMMIT`, {
            purpose: `rename ${next} to ${live}`,
            state: 'the live database is unchanged.',
            timeout: 60,
            lockTimeout: lockSeconds,
            name,
            evenInterrupted: true,
          }),
        );
        return;
      } catch (error) {
        if (!isBusy(error)) throw error;
        refusePrepared(live, await preparedTransactions(postgres, live)); // ending sessions does not end these
        throwIfSignalled();
        if (attempt >= attempts) throw blockers.length > 0 ? blockedBy(error, blockers) : error;
        await new Promise(resolve => setTimeout(resolve, pauseSeconds * 1000));
      }
    }
  });
}

/** Whether sessions that are still there, or a lock, prevented the renames: the next attempt can succeed. */
function isBusy(error: unknown): error is CommandError {
  return error instanceof CommandError && (error.reason === '55006' || error.reason === '55P03');
}

function blockedBy(error: CommandError, blockers: string[]): OperationalError {
  return new OperationalError(
    `${error.message} (held by ${blockers.join(', ')})`,
    'the live database is unchanged. End these sessions (SELECT pg_terminate_backend(PROCESS)) and repeat the command.',
    error.exitCode,
    { cause: error },
  );
}

/*
 * pg_terminate_backend fails, and with it the whole statement, for a session that this user may not end, such as
 * autovacuum's. The rename itself ends autovacuum's.
 */
const MAY_BE_ENDED = `(pg_has_role(usesysid, 'MEMBER') OR (pg_has_role('pg_signal_backend', 'MEMBER')
  AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = usesysid)))`;

/** The session `name` and those whose locks it waits for; a prepared transaction has no process. */
const swapping = (name: string) => `SELECT pid AS swap, pg_blocking_pids(pid) AS blockers
  FROM pg_stat_activity WHERE application_name = ${literal(name)}`;

const blockersOf = (name: string) => `SELECT format('process %s%s', holder.pid,
    coalesce(nullif(format(' (%s)', concat_ws(', ', nullif(application_name, ''), usename, state)), ' ()'), '')) AS text
  FROM (SELECT DISTINCT unnest(blockers) AS pid FROM (${swapping(name)}) AS s) AS holder
  LEFT JOIN pg_stat_activity USING (pid)`;

/**
 * Ends the sessions of some databases while `work` holds the lock of one, and those that it waits for: without the lock,
 * clients would reconnect.
 * @param name the session of `work`
 * @param blockers is filled with the sessions that `work` waits for
 */
async function whileEndingSessions(
  postgres: Postgres,
  databases: string[],
  name: string,
  blockers: string[],
  work: () => Promise<unknown>,
): Promise<void> {
  const names = databases.map(literal).join(', ');
  const session = openSession(postgres, maintenanceOf(postgres));
  let over = false;
  const ending = (async () => {
    while (!over) {
      await session.execute(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity, (${swapping(name)}) AS s
        WHERE datname IN (${names}) AND pid <> swap AND ${MAY_BE_ENDED} AND (pid = ANY (blockers) OR EXISTS (
          SELECT FROM pg_locks AS l WHERE l.pid = swap AND granted
            AND classid = 'pg_database'::regclass AND mode = 'AccessExclusiveLock'))`);
      const found = await session.query<{ text: string }>(blockersOf(name));
      if (found.length > 0) blockers.splice(0, blockers.length, ...found.map(({ text }) => text));
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  })();
  ending.catch(() => {}); // the renames fail with the reason
  try {
    await work();
  } finally {
    over = true;
    await ending.catch(() => {});
    await session.close();
  }
}

/** @returns the prepared transactions of a database */
export async function preparedTransactions(postgres: Postgres, database: string): Promise<string[]> {
  const sql = `SELECT gid FROM pg_prepared_xacts WHERE database = ${literal(database)}`;
  return (await query<{ gid: string }>(postgres, maintenanceOf(postgres), sql)).map(({ gid }) => gid);
}

/** @throws OperationalError when a prepared transaction prevents renaming `live` */
export function refusePrepared(live: string, [gid]: string[]): void {
  if (gid === undefined) return;
  throw new OperationalError(
    `${live} has a prepared transaction (${gid}), so it can't be renamed`,
    'COMMIT PREPARED or ROLLBACK PREPARED it first.',
  );
}
