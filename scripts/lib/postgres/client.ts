import type { Postgres } from '../config/config.ts';
import { bashOf, type Input, withLifelineOnStdin } from '../core/pipeline.ts';
import { type RunOptions, run } from '../core/shell.ts';
import { APPLICATION, endAbandoned, isAnswered, sessionName } from './abandoned.ts';
import { NOT_INHERITED, OWN_NAMES, serverLimits, sessionOptions, TEXT } from './settings.ts';

/** An argument array and the environment that it needs. Secrets are in the environment only. */
interface ClientCommand {
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
    PGOPTIONS: `${sessionOptions(inherit, postgres.gentle)} ${settings}`.trim(),
    PGAPPNAME: APPLICATION,
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

/** A command whose standard input must not end before it does. */
export interface LastingCommand extends ClientCommand {
  lifeline: boolean;
}

/**
 * Like {@link client}, for a command that reads `input`: inside a container it ends when this process dies. Killing
 * `docker exec` does not end what it started.
 * @param argv a script of bash, which ends with its last program, or one program
 */
export function consumer(
  postgres: Postgres,
  argv: string[],
  input: Input,
  ...rest: [settings?: string, inherit?: string[]]
): LastingCommand {
  if (!postgres.container) return { ...client(postgres, argv, ...rest), lifeline: false };
  const script = argv[0] === 'bash' ? argv : bashOf(argv);
  return { ...client(postgres, withLifelineOnStdin(script, input), ...rest), lifeline: true };
}

/** Like {@link consumer}, for a command without input. */
export function producer(
  postgres: Postgres,
  argv: string[],
  ...rest: [settings?: string, inherit?: string[]]
): LastingCommand {
  return consumer(postgres, argv, 0, ...rest);
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

/** Wraps a query so that psql prints its rows as JSON: no other format keeps every name and value. */
export function asJson(sql: string): string {
  return `SELECT coalesce(pg_catalog.json_agg(q), '[]') FROM (${sql}) AS q`;
}

/** Of `timeout`, the server ends a statement a little earlier; default: none. */
export interface SqlOptions
  extends Pick<RunOptions, 'purpose' | 'hint' | 'hints' | 'state' | 'timeout' | 'evenInterrupted'> {
  /** Longest wait for a lock, in seconds. Default: 60, or less if `timeout` is shorter. */
  lockTimeout?: number;
  /** Settings of its session, as `-c name=value`. */
  settings?: string;
  /** The `application_name` of its session, from `sessionName()`. */
  name?: string;
  /** There is no outcome to find out when it is given up. */
  onlyReads?: boolean;
  /** Settings that stay as the role, the database or the server has them. */
  inherit?: string[];
}

/**
 * Runs SQL statements, in one transaction unless they contain BEGIN; each of an array in its own. When it is given up (no answer in time, a signal, a
 * lost connection), its session is ended first: after an error nothing of it goes on in the server.
 *
 * @returns the output of psql
 * @throws CommandError; OperationalError after `timeout` seconds; OutcomeUnknown where its session can't be ended
 */
export async function runSql(
  postgres: Postgres,
  database: string,
  sql: string | string[],
  {
    timeout = Number.POSITIVE_INFINITY,
    lockTimeout,
    settings = '',
    inherit,
    name = sessionName(),
    onlyReads,
    ...options
  }: SqlOptions,
): Promise<string> {
  const limits = `${serverLimits(timeout, lockTimeout)} ${settings}`.trim();
  try {
    return await psql(postgres, database, sql, name, { limits, inherit, timeout, ...options });
  } catch (error) {
    if (!onlyReads && !isAnswered(error)) await endSession(postgres, name, error);
    throw error;
  }
}

/** @param limits settings of its session, as `-c name=value` */
function psql(
  postgres: Postgres,
  database: string,
  sql: string | string[],
  name: string,
  { limits, inherit, ...options }: RunOptions & { limits: string; inherit?: string[] },
): Promise<string> {
  const commands = [sql].flat().map(each => `--command=${each}`);
  const words = [...PSQL, `--dbname=${toDatabase(database)}`, ...commands];
  const settings = `${TEXT} -c ${OWN_NAMES} ${limits}`;
  const { argv, env, lifeline } = producer(postgres, words, settings, inherit);
  return run(argv, { ...options, env: { ...env, PGAPPNAME: name }, lifeline });
}

/** Ends the session that was given up with this name. @see endAbandoned @throws OutcomeUnknown */
export async function endSession(postgres: Postgres, name: string, error: unknown): Promise<void> {
  const options = {
    limits: serverLimits(20),
    purpose: 'end its session',
    timeout: 20,
    evenInterrupted: true,
  };
  const database = postgres.maintenance ?? 'postgres';
  await endAbandoned(name, error, sql => psql(postgres, database, sql, sessionName(), options));
}
