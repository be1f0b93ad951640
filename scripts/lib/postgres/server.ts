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

/** @returns settings that take away limits which only some versions have, as `-c name=value` */
export async function laterLimits(postgres: Postgres): Promise<string> {
  const limits = await query<{ name: string }>(postgres, maintenanceOf(postgres), LATER_LIMITS);
  return limits.map(({ name }) => `-c ${name}=0`).join(' ');
}
