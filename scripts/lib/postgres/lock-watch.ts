/** Waits of sessions for locks of others: shown, limited, and given up where they could never end. */
import type { Postgres } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { interrupt, sleep } from '../core/signals.ts';
import { runSql } from './client.ts';
import { describeHolder, describeWait, type Wait, type Waiters, waitsSql } from './lock-waits.ts';
import { openSession, type Session } from './session.ts';

/** How long a piece of work may still wait for locks, over all its attempts. */
export interface Patience {
  /** Seconds in all, for the message. */
  readonly limit: number;
  /** Seconds. */
  left: number;
}

/** The work can't go on, but the same work from its start can. */
export class StartAgain extends OperationalError {}

/** Shorter than `deadlock_timeout`, so that the work gives way before the server ends a session of somebody else. */
const LOOK_SECONDS = 0.4;

/**
 * Does `work`, whose sessions may wait for locks as long as `patience` allows. A wait is logged with the table and its
 * holders. Where a holder itself waits for the session `who.pid`, the wait would never end.
 *
 * @throws StartAgain where such a wait was ended; OperationalError with the holder where patience ran out; what `work`
 *   throws
 */
export async function underLockWatch<T>(
  postgres: Postgres,
  database: string,
  who: Waiters,
  patience: Patience,
  work: () => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  let reason: OperationalError | undefined;
  const watching = watch(postgres, database, who, patience, over.signal, found => {
    reason = found;
  });
  watching.catch(error => {
    if (!over.signal.aborted && !interrupt.aborted)
      log.warn(`waits for locks are no longer watched: ${messageOf(error)}`);
  });
  try {
    return await work();
  } catch (error) {
    if (interrupt.aborted) await endWaits(postgres, database, who);
    throw reason ?? error;
  } finally {
    over.abort();
    await watching.catch(() => {});
  }
}

/** Ends waits in the server: a session that waits for a lock does not notice that its client is gone. */
async function endWaits(postgres: Postgres, database: string, who: Waiters): Promise<void> {
  const sql = `SELECT pg_terminate_backend(pid) FROM (${waitsSql(who)}) AS waits`;
  const purpose = 'end the wait for a lock';
  await runSql(postgres, database, sql, { purpose, timeout: 10, evenInterrupted: true }).catch(error =>
    log.warn(messageOf(error)),
  );
}

async function watch(
  postgres: Postgres,
  database: string,
  who: Waiters,
  patience: Patience,
  over: AbortSignal,
  give: (reason: OperationalError) => void,
): Promise<void> {
  let session: Session | undefined;
  let told = '';
  let last = performance.now();
  try {
    for (;;) {
      await sleep(LOOK_SECONDS, over);
      session ??= openSession(postgres, database);
      const [wait] = await session.query<Wait>(waitsSql(who));
      const now = performance.now();
      if (wait) patience.left -= (now - last) / 1000;
      last = now;
      const text = wait ? describeWait(wait) : '';
      if (text !== told) log.info(text ? `waiting for ${text}` : 'the lock is free');
      told = text;
      const reason = wait && reasonToEnd(wait, who, patience);
      if (!reason) continue;
      give(reason);
      await session.execute(`SELECT pg_terminate_backend(${wait.pid})`);
      return;
    }
  } finally {
    await session?.close();
  }
}

function reasonToEnd(wait: Wait, who: Waiters, patience: Patience): OperationalError | undefined {
  const { target, holders, prepared } = wait;
  const cycle = holders.find(({ waitsFor }) => waitsFor.includes(who.pid));
  if (cycle) {
    return new StartAgain(
      `${describeHolder(cycle)} waits for this backup to change ${target}, which the backup still needs`,
      'run it again when that session is done.',
    );
  }
  if (patience.left > 0) return undefined;
  const pids = holders.map(({ pid }) => pid).filter(pid => pid > 0);
  const end = prepared
    ? `COMMIT PREPARED or ROLLBACK PREPARED ${prepared}`
    : `SELECT ${pids.map(pid => `pg_terminate_backend(${pid})`).join(', ') || '* FROM pg_locks'}`;
  return new OperationalError(
    `waited ${duration(patience.limit)} for ${describeWait(wait)}`,
    `wait until it is done or end it (${end}), then run this again. BACKUP_LOCK_WAIT is the longest wait.`,
  );
}
