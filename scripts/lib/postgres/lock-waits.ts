/** Sessions that wait for locks, and who holds these. */
import { literal } from './client.ts';

/** The sessions of one piece of work. */
export interface Waiters {
  /** The server's process of the session that holds locks for the work. */
  pid: number;
  /** `application_name` of the programs that work beside it, if there are any. */
  application?: string;
}

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

export interface Wait {
  pid: number;
  target: string;
  holders: Holder[];
  /** Names of prepared transactions that hold the lock. */
  prepared: string | null;
}

/** @returns the query of the waits of these sessions, as {@link Wait} */
export const waitsSql = ({ pid, application }: Waiters) => `
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
    AND (w.pid = ${pid}${application ? ` OR w.application_name = ${literal(application)}` : ''})`;

/** @returns the lock and who has it: `a lock on public.orders, held by process 4711 (…)` */
export function describeWait({ target, holders, prepared }: Wait): string {
  const names = holders.filter(({ pid }) => pid > 0).map(describeHolder);
  if (prepared) names.push(`the prepared transaction ${prepared}`);
  return `a lock on ${target}, held by ${names.join(' and ') || 'nobody any more'}`;
}

/** @returns the process and what is known of it */
export function describeHolder({ pid, application, user, state, since, waitsFor }: Holder): string {
  const facts = [
    application && `application ${application}`,
    user && `user ${user}`,
    state ?? 'only a member of pg_read_all_stats sees its state',
    since && `query started ${since}`,
    waitsFor.length > 0 && `waits for process ${waitsFor.join(', ')}`,
  ].filter(Boolean);
  return `process ${pid} (${facts.join(', ')})`;
}
