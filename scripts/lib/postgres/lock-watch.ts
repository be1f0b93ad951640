/** Waits of sessions for locks of others: shown, limited, and given up where they could never end. */
import type { Postgres } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { interrupt, sleep } from '../core/signals.ts';
import { literal } from './client.ts';
import { openSession, type Session } from './session.ts';

/** The sessions of one piece of work. */
export interface Waiters {
  /** The server's process of the session that holds locks for the work. */
  pid: number;
  /** `application_name` of the programs that work beside it. */
  application: string;
}

/** How long a piece of work may still wait for locks, over all its attempts. */
export interface Patience {
  /** Seconds in all, for the message. */
  readonly limit: number;
  /** Seconds. */
  left: number;
}

/** The work can't go on, but the same work from its start can. */
export class StartAgain extends OperationalError {}

interface Holder {
  /** 0: a prepared transaction. */
  pid: number;
  application: string | null;
  user: string | null;
  /** Null: this user may not see it. */
  state: string | null;
  since: string | null;
  waitsFor: number[];
}

interface Wait {
  pid: number;
  target: string;
  holders: Holder[];
  /** Names of prepared transactions that hold the lock. */
  prepared: string | null;
}

/** Shorter than `deadlock_timeout`, so that the work gives way before the server ends a session of somebody else. */
const LOOK_SECONDS = 0.4;

const waitsSql = ({ pid, application }: Waiters) => `
  SELECT w.pid,
    coalesce((SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE c.oid = l.relation), l.locktype) AS target,
    (SELECT coalesce(json_agg(json_build_object('pid', b.pid, 'application', application_name, 'user', usename,
        'state', state, 'since', to_char(query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'),
        'waitsFor', pg_blocking_pids(b.pid))), '[]')
      FROM (SELECT DISTINCT unnest(pg_blocking_pids(w.pid)) AS pid) AS b
        LEFT JOIN pg_stat_activity AS h ON h.pid = b.pid) AS holders,
    (SELECT string_agg(DISTINCT gid, ', ') FROM pg_locks h
        JOIN pg_locks t ON t.locktype = 'transactionid' AND t.virtualtransaction = h.virtualtransaction
        JOIN pg_prepared_xacts x ON x.transaction = t.transactionid
      WHERE h.relation = l.relation AND h.pid IS NULL AND t.pid IS NULL) AS prepared
  FROM pg_stat_activity AS w JOIN pg_locks l ON l.pid = w.pid AND NOT l.granted
  WHERE w.datname = current_database() AND w.wait_event_type = 'Lock'
    AND (w.pid = ${pid} OR w.application_name = ${literal(application)})`;

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
    throw reason ?? error;
  } finally {
    over.abort();
    await watching.catch(() => {});
  }
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
      const text = wait ? describe(wait) : '';
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
      `${nameOf(cycle)} waits for this backup to change ${target}, which the backup still needs`,
      'run it again when that session is done.',
    );
  }
  if (patience.left > 0) return undefined;
  const pids = holders.map(({ pid }) => pid).filter(pid => pid > 0);
  const end = prepared
    ? `COMMIT PREPARED or ROLLBACK PREPARED ${prepared}`
    : `SELECT ${pids.map(pid => `pg_terminate_backend(${pid})`).join(', ')}`;
  return new OperationalError(
    `waited ${duration(patience.limit)} for ${describe(wait)}`,
    `wait until it is done or end it (${end}), then run this again. BACKUP_LOCK_WAIT is the longest wait.`,
  );
}

/** The lock and who has it: `a lock on public.orders, held by process 4711 (…)` */
function describe({ target, holders, prepared }: Wait): string {
  const names = holders.filter(({ pid }) => pid > 0).map(nameOf);
  if (prepared) names.push(`the prepared transaction ${prepared}`);
  return `a lock on ${target}, held by ${names.join(' and ') || 'nobody any more'}`;
}

function nameOf({ pid, application, user, state, since, waitsFor }: Holder): string {
  const facts = [
    application && `application ${application}`,
    user && `user ${user}`,
    state ?? 'only a member of pg_read_all_stats sees its state',
    since && `query started ${since}`,
    waitsFor.length > 0 && `waits for process ${waitsFor.join(', ')}`,
  ].filter(Boolean);
  return `process ${pid} (${facts.join(', ')})`;
}
