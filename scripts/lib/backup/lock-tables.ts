/** The tables of a dump, locked before its snapshot is taken. */
import { OperationalError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { CommandError } from '../core/shell.ts';
import { identifier } from '../postgres/client.ts';
import { StartAgain } from '../postgres/lock-watch.ts';
import type { Query } from '../postgres/query.ts';
import type { Session } from '../postgres/session.ts';

interface Table {
  oid: number;
  schema: string;
  name: string;
  /** The file of its rows: TRUNCATE and whatever rewrites the table give it another. */
  file: number;
  mayUse: boolean;
  mayRead: boolean;
}

/*
 * The tables that pg_dump locks: ordinary ones, partitions and partitioned ones, those of extensions too. It locks no
 * views, materialized views, sequences or foreign tables; LOCK TABLE refuses most of these.
 */
const TABLES = `
  SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, c.relfilenode::int8 AS file,
    has_schema_privilege(n.oid, 'USAGE') AS "mayUse", has_table_privilege(c.oid, 'SELECT') AS "mayRead"
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  ORDER BY n.nspname, c.relname`;

/** @returns the tables of a database as its transaction sees them */
export function tablesToLock(query: Query): Promise<Table[]> {
  return query<Table>(TABLES);
}

/**
 * Locks that the server has room for, by its settings:
 * https://www.postgresql.org/docs/current/runtime-config-locks.html#GUC-MAX-LOCKS-PER-TRANSACTION
 */
export async function lockCapacity(query: Query): Promise<number> {
  const setting = (name: string) => `current_setting('${name}')::int`;
  const [row] = await query<{ locks: number }>(
    `SELECT ${setting('max_locks_per_transaction')} *
       (${setting('max_connections')} + ${setting('max_prepared_transactions')}) AS locks`,
  );
  return row!.locks;
}

/** @throws OperationalError with the tables that this user may not read, and what to grant */
export function refuseUnreadable(tables: Table[], user: string): void {
  const closed = tables.filter(({ mayUse, mayRead }) => !(mayUse && mayRead));
  if (closed.length === 0) return;
  const names = closed.map(({ schema, name }) => `${identifier(schema)}.${identifier(name)}`);
  const shown = names.slice(0, 10).join(', ');
  throw new OperationalError(
    `${user} may not read ${plural(names.length, 'table')}: ${shown}${names.length > 10 ? ', …' : ''}`,
    `GRANT pg_read_all_data TO ${identifier(user)}; or GRANT USAGE on their schemas and SELECT on them.`,
  );
}

/**
 * Locks tables in a transaction that has no snapshot yet: what it sees later is what it has locked. TRUNCATE and ALTER
 * TABLE that rewrites are not MVCC-safe, so that a snapshot from before the lock could see an empty table.
 * https://www.postgresql.org/docs/current/mvcc-caveats.html
 *
 * @param again reads the tables in another session
 * @throws StartAgain where tables changed meanwhile; CommandError, also where the server has no room for the locks
 */
export async function lockTables(session: Session, tables: Table[], again: Query): Promise<void> {
  const names = tables.map(({ schema, name }) => `ONLY ${identifier(schema)}.${identifier(name)}`);
  try {
    if (names.length > 0) await session.execute(`LOCK TABLE ${names.join(', ')} IN ACCESS SHARE MODE`);
  } catch (error) {
    if (!(error instanceof CommandError) || hasNoRoom(error)) throw error;
    const now = new Set((await tablesToLock(again)).map(keyOf));
    if (tables.every(table => now.has(keyOf(table)))) throw error;
    throw tablesChanged();
  }
}

const keyOf = ({ oid, schema, name }: Table) => JSON.stringify([oid, schema, name]);

function tablesChanged(): StartAgain {
  return new StartAgain(
    'tables were created, dropped or renamed',
    'run it again when they no longer change.',
  );
}

/** @throws StartAgain where the snapshot of this session has a table that it has not locked */
export async function refuseUnlocked(query: Query): Promise<void> {
  const [row] = await query<{ unlocked: number }>(`SELECT count(*)::int AS unlocked FROM (${TABLES}) AS t
    WHERE NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
      AND l.relation = t.oid AND l.mode = 'AccessShareLock' AND l.granted)`);
  if (row!.unlocked > 0) throw tablesChanged();
}

/**
 * Does work that reads tables which it has not locked.
 *
 * @param seen the tables in the work's snapshot
 * @param again reads the tables in another session
 * @throws StartAgain where one was truncated, rewritten or dropped meanwhile: what was read of it is wrong
 */
export async function whileNotRewritten<T>(seen: Table[], again: Query, work: () => Promise<T>): Promise<T> {
  try {
    const value = await work();
    refuseRewritten(seen, await tablesToLock(again));
    return value;
  } catch (error) {
    if (!(error instanceof StartAgain)) refuseRewritten(seen, await tablesToLock(again).catch(() => seen));
    throw error;
  }
}

function refuseRewritten(before: Table[], now: Table[]): void {
  const files = new Map(now.map(({ oid, file }) => [oid, file]));
  const changed = before.find(({ oid, file }) => files.get(oid) !== file);
  if (!changed) return;
  throw new StartAgain(
    `table ${changed.schema}.${changed.name} was truncated, rewritten or dropped during the dump`,
    'run it again when that is done, or raise max_locks_per_transaction: tables are then locked for the whole backup.',
  );
}

/** @returns whether a program failed because the server has no room for more locks; the hint is in any language */
export function hasNoRoom(error: unknown): boolean {
  return error instanceof CommandError && error.stderr.includes('max_locks_per_transaction');
}
