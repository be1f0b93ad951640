import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { CommandError, hasProgram, type RunOptions, run } from '../core/shell.ts';
import { client } from './client.ts';
import { maintenanceOf } from './databases.ts';
import { query } from './query.ts';
import { LATER_LIMITS } from './settings.ts';

export interface ServerFacts {
  /** `SHOW server_version` without the packager's suffix: `15.20`. */
  version: string;
  major: number;
  dataDirectory: string | null;
  superuser: boolean;
}

/**
 * @returns version and rights
 * @throws OperationalError with what to check when the server can't be reached
 */
export async function serverFacts(postgres: Postgres): Promise<ServerFacts> {
  const where = postgres.container
    ? `container ${postgres.container}`
    : `${postgres.host ?? 'the local socket'}:${postgres.port ?? 5432}`;
  const needed = postgres.container ? 'docker' : 'psql';
  if (!hasProgram(needed)) {
    throw new OperationalError(
      `there is no ${needed} on PATH`,
      postgres.container
        ? 'install Docker, or set POSTGRES_CONTAINER to an empty value to use the client programs of this host.'
        : 'install postgresql-client, or set POSTGRES_CONTAINER.',
    );
  }
  const maintenance = maintenanceOf(postgres);
  try {
    const [facts] = await query<ServerFacts>(
      postgres,
      maintenance,
      `SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
       current_setting('server_version_num')::int / 10000 AS major,
       (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS "dataDirectory",
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser`,
    );
    return facts!;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new OperationalError(
      `PostgreSQL (${where}) can't be used: ${error.message.replace(`could not query ${maintenance}: `, '')}`,
      error.hint,
      undefined,
      { cause: error, details: error.details },
    );
  }
}

/**
 * @returns the version of a program in the container or on this host: `15.20`
 * @throws CommandError when it is not installed
 */
export async function programVersion(postgres: Postgres, program: string): Promise<string> {
  const where = postgres.container ? `in container ${postgres.container}` : 'on this host';
  return versionIn(
    await runClient(postgres, [program, '--version'], {
      purpose: `use ${program} ${where}`,
      hints: { 'no program': `install ${program} ${where}.` },
    }),
  );
}

/** Prints what each says, as one line. */
const VERSIONS = 'set -ef; for program; do text=$("$program" --version); echo $text; done';

/** The same of several programs, with one start. @throws CommandError for the first that is not installed */
export async function programVersions(postgres: Postgres, ...programs: string[]): Promise<string[]> {
  const purpose = `use ${programs.join(', ')}`;
  try {
    const text = await runClient(postgres, ['bash', '-c', VERSIONS, 'versions', ...programs], { purpose });
    return text.trim().split('\n').map(versionIn);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    for (const program of programs) await programVersion(postgres, program); // its message names the program
    throw error;
  }
}

function runClient(postgres: Postgres, command: string[], options: RunOptions): Promise<string> {
  const { argv, env } = client(postgres, command);
  return run(argv, { ...options, env });
}

const versionIn = (text: string) => /\d+(\.\d+)+/.exec(text)?.[0] ?? text.trim();

/*
 * Event triggers of what has been loaded would act on the rest of the load and on those who look at it: one that writes down
 * each command or login adds rows. Only a superuser may set these; event_triggers is there since 17, and the other leaves
 * those that are ENABLE REPLICA or ALWAYS.
 */
const WITHOUT_EVENT_TRIGGERS = `SELECT s.name || '=' || s.value
  FROM (VALUES ('session_replication_role', 'replica'), ('event_triggers', 'off')) AS s (name, value)
    JOIN pg_settings USING (name)
  WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)`;

/**
 * @returns settings of sessions with a copy of a database, as `-c name=value`. `limits`: without those that only some
 *   versions have, for any user; `quiet`: for this one, if it is a superuser also without the copy's event triggers
 */
export async function copySettings(postgres: Postgres): Promise<{ limits: string; quiet: string }> {
  const sql = `SELECT ARRAY(SELECT name || '=0' FROM (${LATER_LIMITS}) AS l) AS limits, ARRAY(${WITHOUT_EVENT_TRIGGERS}) AS others`;
  const [row] = await query<{ limits: string[]; others: string[] }>(postgres, maintenanceOf(postgres), sql);
  const options = (settings: string[]) => settings.map(setting => `-c ${setting}`).join(' ');
  return { limits: options(row!.limits), quiet: options([...row!.limits, ...row!.others]) };
}
