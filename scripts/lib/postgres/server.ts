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
  const { argv, env } = client(postgres, [program, '--version']);
  const where = postgres.container ? `in container ${postgres.container}` : 'on this host';
  const text = await run(argv, {
    env,
    purpose: `use ${program} ${where}`,
    hints: { 'no program': `install ${program} ${where}.` },
  });
  return /\d+(\.\d+)+/.exec(text)?.[0] ?? text.trim();
}

/** @returns settings that take away limits which only some versions have, as `-c name=value` */
export async function laterLimits(postgres: Postgres, database: string): Promise<string> {
  const limits = await query<{ name: string }>(postgres, database, LATER_LIMITS);
  return limits.map(({ name }) => `-c ${name}=0`).join(' ');
}
