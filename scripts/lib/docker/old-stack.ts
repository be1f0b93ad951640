/** The stack of the old Compose files: the same product under another name of the Compose project. */
import type { Config } from '../config/config.ts';
import { hasProgram, run } from '../core/shell.ts';
import { withTimeout } from '../core/signals.ts';
import { query } from '../postgres/query.ts';
import { projectOf } from './containers.ts';

/** Of a container or volume: its Compose project. */
const PROJECT = '{{.Label "com.docker.compose.project"}}';

/**
 * @param timeout in seconds, of each question to Docker
 * @returns the containers and volumes of PostgreSQL that another Compose project has for this product and environment, by
 *   name
 * @throws CommandError when Docker fails; OperationalError when it does not answer
 */
export async function oldDataServices(config: Config, timeout = 60): Promise<string[]> {
  const { app, environment } = config;
  const purpose = 'look for an old installation';
  // docker may ignore the SIGTERM that `run` sends.
  const ask = (argv: string[]) => withTimeout(timeout, () => run(argv, { purpose, timeout }), purpose);
  const volume = `label=com.docker.compose.volume=postgres_${environment}_data`;
  const service = 'label=com.docker.compose.service=postgres';
  const [containers, volumes] = await Promise.all([
    ask(['docker', 'ps', '--all', '--filter', service, '--format', `${PROJECT} {{.Names}}`]),
    ask(['docker', 'volume', 'ls', '--filter', volume, '--format', `${PROJECT} {{.Name}}`]),
  ]);
  const isOld = (project: string, name: string) =>
    project !== projectOf(config) && name.startsWith(app) && name.includes(environment);
  return `${containers}\n${volumes}`
    .split('\n')
    .filter(Boolean)
    .map(line => line.split(' ') as [string, string])
    .filter(([project, name]) => isOld(project, name))
    .map(([, name]) => name);
}

const HAS_TABLES = `SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c
   WHERE relkind IN ('r', 'p') AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
     AND relpersistence <> 't') AS "has"`;

/**
 * A live database without a table beside the data of the old stack: the new stack was started, and the data was not moved.
 *
 * @param timeout in seconds, of each question
 * @returns what is wrong, or undefined: also without Docker, and where PostgreSQL does not answer
 * @throws CommandError when Docker fails
 */
export async function forgottenData(config: Config, timeout = 60): Promise<string | undefined> {
  const { postgres } = config;
  if (!postgres.container || !hasProgram('docker')) return undefined;
  const old = await oldDataServices(config, timeout);
  if (old.length === 0) return undefined;
  const ask = query<{ has: boolean }>(postgres, postgres.database, HAS_TABLES, { timeout });
  const [row] = await ask.catch(() => []);
  if (!row || row.has) return undefined;
  return `the database ${postgres.database} has no tables, and the data of the old installation is not moved: ${old.join(', ')}`;
}
