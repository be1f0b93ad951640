import type { Postgres } from '../config/config.ts';
import { bashOf, withLifelineOnStdin } from '../core/pipeline.ts';
import { type RunOptions, run } from '../core/shell.ts';
import { APPLICATION, endAbandoned, isAnswered, sessionName } from './abandoned.ts';

/* Limits that a role, a database or the server may set. They must not end a long dump or load. */
const NO_LIMITS = '-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0';

/*
 * A server that is busy with a statement, or waits for a lock, does not notice that its client is gone unless it checks
 * (PostgreSQL 14 and later):
 * https://www.postgresql.org/docs/15/runtime-config-connection.html#GUC-CLIENT-CONNECTION-CHECK-INTERVAL
 */
const NOTICE_LOSS = '-c client_connection_check_interval=2s';

/** Variables of the operator's environment that libpq would prefer to PGHOST and PGPORT. */
const NO_OTHER_SERVER = { PGSERVICE: undefined, PGHOSTADDR: undefined, PGDATABASE: undefined };

/** An argument array and the environment that it needs. Secrets are in the environment only. */
export interface ClientCommand {
  argv: string[];
  env: Record<string, string | undefined>;
}

/** A quoted SQL identifier. */
export function identifier(name: string): string {
  return '"' + name.replaceAll('"', '""') + '"';
}

/** A quoted SQL string. */
export function literal(value: string): string {
  return (
    (value.includes('\\') ? ' E' : '') + "'" + value.replaceAll('\\', '\\\\').replaceAll("'", "''") + "'"
  );
}

/**
 * A connection string for a database of any name. libpq parses a name that contains `=` as a connection string:
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
 */
export function toDatabase(name: string): string {
  return `dbname='${name.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/**
 * Where a PostgreSQL client program runs: in the container, or on this host.
 * @param settings server settings of its sessions, as `-c name=value`
 * @param name the `application_name` of its sessions
 */
export function client(postgres: Postgres, argv: string[], settings = '', name = APPLICATION): ClientCommand {
  const env = {
    PGUSER: postgres.user,
    PGPASSWORD: postgres.password,
    PGOPTIONS: `${NO_LIMITS} ${NOTICE_LOSS} ${settings}`.trim(),
    PGAPPNAME: name,
    PGCONNECT_TIMEOUT: '10',
    LC_ALL: 'C', // the messages of these programs are in English
  };
  if (!postgres.container) {
    const { host, port } = postgres;
    return { argv, env: { ...env, ...NO_OTHER_SERVER, PGHOST: host, PGPORT: port?.toString() } };
  }
  const passed = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : ['-e', name]));
  return { argv: ['docker', 'exec', '-i', ...passed, postgres.container, ...argv], env };
}

/**
 * Like {@link client}, for a command without input: inside a container it ends when this process dies. Killing
 * `docker exec` does not end what it started.
 * @param argv a pipe of bash, or one program
 */
export function producer(
  postgres: Postgres,
  argv: string[],
  ...rest: [settings?: string, name?: string]
): ClientCommand & { stdin?: 'lifeline' } {
  if (!postgres.container) return client(postgres, argv, ...rest);
  const script = argv[0] === 'bash' ? argv : bashOf(argv);
  return { ...client(postgres, withLifelineOnStdin(script), ...rest), stdin: 'lifeline' };
}

/** Prints each error with its SQLSTATE. */
export const WITH_CODES = '--set=VERBOSITY=verbose';

/** psql for programs: no start-up file, plain output, stops at the first error, never asks for a password. */
export const PSQL = [
  'psql',
  '--no-psqlrc',
  '--no-align',
  '--tuples-only',
  '--quiet',
  '--set=ON_ERROR_STOP=1',
  WITH_CODES,
  '--no-password',
];

/*
 * For sessions that pass names between this process and the server: the default is the database's encoding.
 * Dumps and loads keep that encoding, so that no conversion can fail.
 */
export const TEXT = '-c client_encoding=UTF8';

/** Wraps a query so that psql prints its rows as JSON: no other format keeps every name and value. */
export function asJson(sql: string): string {
  return `SELECT coalesce(json_agg(q), '[]') FROM (${sql}) AS q`;
}

/** Longest wait for a lock, in seconds. */
const LOCK_SECONDS = 60;

/** `timeout` in seconds; default: 60. */
type QueryOptions = Pick<SqlOptions, 'timeout' | 'evenInterrupted'>;

/**
 * Runs one SELECT.
 * @returns its rows
 * @throws CommandError; OperationalError after `timeout` seconds
 */
export async function query<Row>(
  postgres: Postgres,
  database: string,
  sql: string,
  { timeout = 60, evenInterrupted }: QueryOptions = {},
): Promise<Row[]> {
  const options = { purpose: `query ${database}`, timeout, evenInterrupted, onlyReads: true };
  return JSON.parse(await runSql(postgres, database, asJson(sql), options)) as Row[];
}

export type Query = <Row>(sql: string) => Promise<Row[]>;

/** @returns {@link query} bound to one database */
export function queryOf(postgres: Postgres, database: string, options?: QueryOptions): Query {
  return <Row>(sql: string) => query<Row>(postgres, database, sql, options);
}

/** Of `timeout`, the server ends a statement a little earlier; default: none. */
interface SqlOptions
  extends Pick<RunOptions, 'purpose' | 'hint' | 'hints' | 'state' | 'timeout' | 'evenInterrupted'> {
  /** Longest wait for a lock, in seconds. Default: 60, or less if `timeout` is shorter. */
  lockTimeout?: number;
  /** Settings of its session, as `-c name=value`. */
  settings?: string;
  /** The `application_name` of its session, from `sessionName()`. */
  name?: string;
  /** There is no outcome to find out when it is given up. */
  onlyReads?: boolean;
}

/**
 * Runs SQL statements, in one transaction unless they contain BEGIN. When it is given up (no answer in time, a signal, a
 * lost connection), its session is ended first: after an error nothing of it goes on in the server.
 *
 * @returns the output of psql
 * @throws CommandError; OperationalError after `timeout` seconds; OutcomeUnknown where its session can't be ended
 */
export async function runSql(
  postgres: Postgres,
  database: string,
  sql: string,
  {
    timeout = Number.POSITIVE_INFINITY,
    lockTimeout = LOCK_SECONDS,
    settings = '',
    name = sessionName(),
    onlyReads,
    ...options
  }: SqlOptions,
): Promise<string> {
  const limits = serverLimits(timeout, lockTimeout);
  const { argv, ...rest } = psql(postgres, database, sql, `${limits} ${settings}`.trim(), name);
  try {
    return await run(argv, { ...rest, timeout, ...options });
  } catch (error) {
    if (!onlyReads && !isAnswered(error)) await endSession(postgres, name, error);
    throw error;
  }
}

/** The limits in the server end before the client's, which can only guess what the server does. */
function serverLimits(timeout: number, lockTimeout: number): string {
  const lock = `-c lock_timeout=${Math.round(Math.min(lockTimeout, timeout * 0.8) * 1000)}`;
  return Number.isFinite(timeout) ? `${lock} -c statement_timeout=${Math.round(timeout * 900)}` : lock;
}

function psql(postgres: Postgres, database: string, sql: string, settings: string, name?: string) {
  const argv = [...PSQL, `--dbname=${toDatabase(database)}`, `--command=${sql}`];
  return producer(postgres, argv, `${TEXT} ${settings}`, name);
}

/** Ends the session that was given up with this name. @see endAbandoned @throws OutcomeUnknown */
export async function endSession(postgres: Postgres, name: string, error: unknown): Promise<void> {
  await endAbandoned(name, error, sql => {
    const { argv, ...rest } = psql(postgres, postgres.maintenance ?? 'postgres', sql, serverLimits(20, 20));
    return run(argv, { ...rest, purpose: 'end its session', timeout: 20, evenInterrupted: true });
  });
}
