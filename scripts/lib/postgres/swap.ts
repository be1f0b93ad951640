import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { CommandError } from '../core/shell.ts';
import { deferSignals } from '../core/signals.ts';
import { identifier, literal, query, runSql } from './client.ts';
import { maintenanceOf } from './databases.ts';
import { openSession } from './session.ts';

const SWAP_ATTEMPTS = 10;

/**
 * Renames `live` to `kept` and `next` to `live`, in one transaction: after a kill, both are renamed or neither.
 * The first rename blocks new sessions and waits up to 5 s for the others to end; meanwhile a second session ends them.
 *
 * @param kept undefined when there is no live database
 * @throws CommandError; the live database is then unchanged
 */
export async function swap(
  postgres: Postgres,
  live: string,
  next: string,
  kept: string | undefined,
): Promise<void> {
  const rename = (from: string, to: string) =>
    `ALTER DATABASE ${identifier(from)} RENAME TO ${identifier(to)}`;
  const renames = [...(kept ? [rename(live, kept)] : []), rename(next, live)];
  await deferSignals(async () => {
    for (let attempt = 1; ; attempt++) {
      try {
        await whileEndingSessions(postgres, [live, next], () =>
          runSql(postgres, maintenanceOf(postgres), `BEGIN; ${renames.join('; ')}; COMMIT`, {
            purpose: `rename ${next} to ${live}`,
            state: 'the live database is unchanged.',
            timeout: 60,
            evenInterrupted: true,
          }),
        );
        return;
      } catch (error) {
        const busy = error instanceof CommandError && error.reason === '55006'; // object_in_use
        if (!busy || attempt === SWAP_ATTEMPTS) throw error;
        await refusePreparedTransactions(postgres, live); // ending sessions does not end these
      }
    }
  });
}

/*
 * pg_terminate_backend fails, and with it the whole statement, for a session that this user may not end, such as
 * autovacuum's. The rename itself ends autovacuum's.
 */
const MAY_BE_ENDED = `(pg_has_role(usesysid, 'MEMBER') OR (pg_has_role('pg_signal_backend', 'MEMBER')
  AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = usesysid)))`;

/** Ends the sessions of some databases while `work` holds the lock of one: without the lock, clients would reconnect. */
async function whileEndingSessions(
  postgres: Postgres,
  databases: string[],
  work: () => Promise<unknown>,
): Promise<void> {
  const names = databases.map(literal).join(', ');
  const session = openSession(postgres, maintenanceOf(postgres));
  let over = false;
  const ending = (async () => {
    while (!over) {
      await session.execute(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname IN (${names}) AND pid <> pg_backend_pid() AND ${MAY_BE_ENDED}
          AND EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = objid WHERE d.datname IN (${names})
            AND classid = 'pg_database'::regclass AND mode = 'AccessExclusiveLock')`);
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

/** @throws OperationalError when a prepared transaction prevents renaming `live` */
export async function refusePreparedTransactions(postgres: Postgres, live: string): Promise<void> {
  const sql = `SELECT gid FROM pg_prepared_xacts WHERE database = ${literal(live)}`;
  const prepared = await query<{ gid: string }>(postgres, maintenanceOf(postgres), sql);
  if (prepared.length === 0) return;
  throw new OperationalError(
    `${live} has a prepared transaction (${prepared[0]!.gid}), so it can't be renamed`,
    'COMMIT PREPARED or ROLLBACK PREPARED it first.',
  );
}
