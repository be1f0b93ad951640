import type { Postgres } from '../config/config.ts';
import { withLifelineOnStdin } from '../core/pipeline.ts';
import { run } from '../core/shell.ts';
import { LATER_LIMITS, NOT_INHERITED, sessionOptions } from './settings.ts';

/** A session of a gentle client leaves the server's other processors alone. */
const NO_WORKERS = '-c max_parallel_workers_per_gather=0 -c max_parallel_maintenance_workers=0';

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
 * Where a PostgreSQL client program runs: in the container, or on this host. Neither's environment, and no setting of
 * the role or the database, changes what it does.
 *
 * @param settings server settings of its sessions, as `-c name=value`
 * @param inherit settings that stay as the role, the database or the server has them
 */
export function client(
  postgres: Postgres,
  argv: string[],
  settings = '',
  inherit: string[] = [],
): ClientCommand {
  const env = {
    PGUSER: postgres.user,
    PGPASSWORD: postgres.password,
    PGOPTIONS: [sessionOptions(inherit), postgres.gentle && NO_WORKERS, settings].filter(Boolean).join(' '),
    PGAPPNAME: 'neurmatic-scripts',
    PGCONNECT_TIMEOUT: '10',
    LC_ALL: 'C', // the messages of these programs are in English
  };
  if (!postgres.container) {
    const { host, port } = postgres;
    const unset = Object.fromEntries(NOT_INHERITED.map(name => [name, undefined]));
    return { argv, env: { ...env, ...unset, PGHOST: host, PGPORT: port?.toString() } };
  }
  const passed = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : ['-e', name]));
  const unset = [...NOT_INHERITED, 'PGHOST', 'PGPORT'].flatMap(name => ['-u', name]);
  // On this host it inherits the priority of this process.
  const nice = postgres.gentle ? ['nice', '-n', '10'] : [];
  return {
    argv: ['docker', 'exec', '-i', ...passed, postgres.container, 'env', ...unset, ...nice, ...argv],
    env,
  };
}

/**
 * Like {@link client}, for a command without input: inside a container it ends when this process dies. Killing
 * `docker exec` does not end what it started.
 */
export function producer(
  postgres: Postgres,
  argv: string[],
  settings = '',
): ClientCommand & { stdin?: 'lifeline' } {
  if (!postgres.container) return client(postgres, argv, settings);
  return { ...client(postgres, withLifelineOnStdin(argv), settings), stdin: 'lifeline' };
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

/** The setting of the scripts' own queries: names without a schema are PostgreSQL's, whatever other schemas have. */
export const OWN_NAMES = 'search_path=pg_catalog';

/** Wraps a query so that psql prints its rows as JSON: no other format keeps every name and value. */
export function asJson(sql: string): string {
  return `SELECT coalesce(pg_catalog.json_agg(q), '[]') FROM (${sql}) AS q`;
}

/**
 * Runs one SELECT.
 * @returns its rows
 * @throws CommandError
 */
export async function query<Row>(
  postgres: Postgres,
  database: string,
  sql: string,
  options: Pick<SqlOptions, 'evenInterrupted'> = {},
): Promise<Row[]> {
  const text = await runSql(postgres, database, asJson(sql), { purpose: `query ${database}`, ...options });
  return JSON.parse(text) as Row[];
}

export type Query = <Row>(sql: string) => Promise<Row[]>;

/** @returns {@link query} bound to one database */
export function queryOf(postgres: Postgres, database: string): Query {
  return <Row>(sql: string) => query<Row>(postgres, database, sql);
}

interface SqlOptions {
  purpose: string;
  hint?: string;
  hints?: Record<string, string>;
  state?: string;
  /** Seconds. Default: none. */
  timeout?: number;
  /** Settings of its session, as `-c name=value`. */
  settings?: string;
  /** Settings that stay as the role, the database or the server has them. */
  inherit?: string[];
  evenInterrupted?: boolean;
}

/**
 * Runs SQL statements, in one transaction unless they contain BEGIN.
 * @returns the output of psql
 * @throws CommandError
 */
export function runSql(
  postgres: Postgres,
  database: string,
  sql: string,
  { timeout = Number.POSITIVE_INFINITY, settings = '', inherit, ...options }: SqlOptions,
): Promise<string> {
  const psql = [...PSQL, `--dbname=${toDatabase(database)}`, `--command=${sql}`];
  const { argv, env } = client(postgres, psql, `${TEXT} -c ${OWN_NAMES} ${settings}`.trim(), inherit);
  return run(argv, { env, timeout, ...options });
}

/** @returns settings that take away limits which only some versions have, as `-c name=value` */
export async function laterLimits(postgres: Postgres, database: string): Promise<string> {
  const limits = await query<{ name: string }>(postgres, database, LATER_LIMITS);
  return limits.map(({ name }) => `-c ${name}=0`).join(' ');
}

/** @returns the URL of a database, for programs such as Prisma; it contains the password */
export function databaseUrl(postgres: Postgres, database: string): string {
  const secret = postgres.password ? `:${encodeURIComponent(postgres.password)}` : '';
  const host = postgres.container ? '127.0.0.1' : (postgres.host ?? 'localhost');
  const base = `postgresql://${encodeURIComponent(postgres.user)}${secret}`;
  if (host.startsWith('/')) {
    return `${base}@localhost:${postgres.port ?? 5432}/${encodeURIComponent(database)}?host=${encodeURIComponent(host)}`;
  }
  return `${base}@${host}:${postgres.port ?? 5432}/${encodeURIComponent(database)}`;
}
