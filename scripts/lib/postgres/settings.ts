/** What sessions of the scripts are independent of: this process's environment, settings of the role and the database. */

/**
 * Variables that would change what libpq, PostgreSQL's programs and gzip do. Those of TLS and authentication (PGSSLMODE,
 * PGSSLROOTCERT, PGPASSFILE and the like) stay: a managed database may need them.
 * https://www.postgresql.org/docs/current/libpq-envars.html
 */
export const NOT_INHERITED = [
  ...['PGSERVICE', 'PGSERVICEFILE', 'PGSYSCONFDIR', 'PGHOSTADDR', 'PGDATABASE', 'PGTARGETSESSIONATTRS'],
  ...['PGLOADBALANCEHOSTS', 'PGCLIENTENCODING', 'PGDATESTYLE', 'PGTZ', 'PGGEQO', 'PG_COLOR', 'PSQL_PAGER'],
  ...['LANGUAGE', 'GZIP'],
];

/*
 * A role, a database or the server may set others. Only settings that any user may change, because a session that sets
 * another is refused, and that PostgreSQL has had since version 14. pg_dump itself sets what changes how it writes values.
 */
const SETTINGS: Record<string, string> = {
  // Limits must not end a long dump or load.
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // A server that is busy, or waits for a lock, does not notice that its client is gone unless it checks:
  // https://www.postgresql.org/docs/15/runtime-config-connection.html#GUC-CLIENT-CONNECTION-CHECK-INTERVAL
  client_connection_check_interval: '2s',
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  role: 'none', // POSTGRES_USER itself
  search_path: '"$user", public', // for dumps that do not set it
  client_min_messages: 'warning',
  // How names and values are written and read.
  standard_conforming_strings: 'on',
  quote_all_identifiers: 'off',
  array_nulls: 'on',
  lc_monetary: 'C', // as for pg_dump: https://www.postgresql.org/docs/current/datatype-money.html
};

/** A session of a gentle client leaves the server's other processors alone. */
const NO_WORKERS = '-c max_parallel_workers_per_gather=0 -c max_parallel_maintenance_workers=0';

/**
 * @param inherit settings that stay as the role, the database or the server has them
 * @returns the settings of every session, as PGOPTIONS
 */
export function sessionOptions(inherit: string[] = [], isGentle = false): string {
  const options = Object.entries(SETTINGS)
    .filter(([name]) => !inherit.includes(name))
    .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`);
  return [...options, ...(isGentle ? [NO_WORKERS] : [])].join(' ');
}

/*
 * For sessions that pass names between this process and the server: the default is the database's encoding.
 * Dumps and loads keep that encoding, so that no conversion can fail.
 */
export const TEXT = '-c client_encoding=UTF8';

/** The setting of the scripts' own queries: names without a schema are PostgreSQL's, whatever other schemas have. */
export const OWN_NAMES = 'search_path=pg_catalog';

/** Limits that only later versions have: a session can set them when it knows that the server does. */
export const LATER_LIMITS = `SELECT name FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')`;

/**
 * The limits in the server end before those of this process, which can only guess what the server does.
 * @param timeout seconds until this process gives up; Infinity: never
 * @param lockTimeout the longest wait for a lock, in seconds, if that is shorter
 * @returns them as `-c name=value`
 */
export function serverLimits(timeout: number, lockTimeout = 60): string {
  const lock = `-c lock_timeout=${Math.round(Math.min(lockTimeout, timeout * 0.8) * 1000)}`;
  return Number.isFinite(timeout) ? `${lock} -c statement_timeout=${Math.round(timeout * 900)}` : lock;
}
