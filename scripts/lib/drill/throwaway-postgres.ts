import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { canInstall, installPackages } from '../core/packages.ts';
import { hasProgram, sh } from '../core/shell.ts';
import { startContainer } from './postgres-container.ts';
import { serverPrograms, startProcess } from './postgres-process.ts';

/** A PostgreSQL server for one drill or test. */
export interface ThrowawayPostgres {
  postgres: Postgres;
  /** The variables that make a script use this server. */
  env: Record<string, string>;
  /** For the log. */
  description: string;
  /** The directory of a server that runs as a process of this host. */
  directory?: string;
  /** Stops a server that runs as a process, and keeps its data. */
  halt: (signal?: NodeJS.Signals) => Promise<void>;
  /** Starts it again after {@link halt}. */
  resume: () => Promise<void>;
  /** Stops it and removes its data. */
  stop: () => Promise<void>;
}

/**
 * Starts a PostgreSQL server with its own data, socket and port: from programs on this machine, from a package that it
 * installs (Debian and Ubuntu, as root), or in a container. A server that runs as a process ends with this process,
 * even after SIGKILL.
 *
 * @param template the data directory of a stopped server with this password, to copy: three times as fast as initdb
 * @throws OperationalError where there is no way to start one, or it does not start
 */
export async function startThrowawayPostgres(
  password = randomBytes(12).toString('hex'),
  template?: string,
): Promise<ThrowawayPostgres> {
  if (!serverPrograms() && canInstall()) await installServer();
  const programs = serverPrograms();
  const server = programs
    ? await startProcess(programs, password, template)
    : hasProgram('docker')
      ? await startContainer(password)
      : undefined;
  if (server) return { ...server, env: { ...environmentOf(server.postgres), ...server.env } };
  throw new OperationalError(
    'there is no PostgreSQL server on this machine',
    'install one: `apt-get install postgresql-15` (Debian 12) or `postgresql` (Ubuntu), `brew install postgresql@15`, or Docker.',
  );
}

async function installServer(): Promise<void> {
  log.info(
    'there is no PostgreSQL server here: installing one with apt-get (programs only; no service is started)',
  );
  // Without this file the package creates a cluster on port 5432 and starts it.
  const settings = '/etc/postgresql-common/createcluster.d';
  await mkdir(settings, { recursive: true });
  await writeFile(`${settings}/no-main-cluster.conf`, 'create_main_cluster = false\n');
  await installPackages(['postgresql-common']);
  const found = await sh('look for PostgreSQL 15')`apt-cache search --names-only '^postgresql-15$'`;
  await installPackages([found ? 'postgresql-15' : 'postgresql']);
}

function environmentOf(postgres: Postgres): Record<string, string> {
  return {
    POSTGRES_USER: postgres.user,
    POSTGRES_PASSWORD: postgres.password ?? '',
    POSTGRES_CONTAINER: postgres.container ?? '',
    PGHOST: postgres.host ?? '',
    PGPORT: postgres.port?.toString() ?? '',
  };
}
