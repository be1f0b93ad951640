import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { CommandError, hasProgram, run } from '../core/shell.ts';
import { client, query } from './client.ts';
import { maintenanceOf } from './databases.ts';
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
    const [row] = await query<{
      version: string;
      number: number;
      directory: string | null;
      superuser: boolean;
    }>(
      postgres,
      maintenance,
      `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
       (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS directory,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser`,
    );
    const { version, number, directory, superuser } = row!;
    return {
      version: version.split(' ')[0]!,
      major: Math.floor(number / 10_000),
      dataDirectory: directory,
      superuser,
    };
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
  const { argv, env } = client(postgres, [program, '--version']);
  const where = postgres.container ? `in container ${postgres.container}` : 'on this host';
  const text = await run(argv, {
    env,
    purpose: `use ${program} ${where}`,
    hints: { 'no program': `install ${program} ${where}.` },
  });
  return /\d+(\.\d+)+/.exec(text)?.[0] ?? text.trim();
}

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
 * @returns settings of sessions with a copy of a database, as `-c name=value`: none of the limits that only some versions
 *   have, and, for a superuser, none of its event triggers
 */
export async function copySettings(postgres: Postgres): Promise<string> {
  const sql = `SELECT name || '=0' AS setting FROM (${LATER_LIMITS}) AS limits UNION ALL ${WITHOUT_EVENT_TRIGGERS}`;
  const settings = await query<{ setting: string }>(postgres, maintenanceOf(postgres), sql);
  return settings.map(({ setting }) => `-c ${setting}`).join(' ');
}
