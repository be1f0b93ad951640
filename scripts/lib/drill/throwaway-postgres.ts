import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { canInstall, installPackages } from '../core/packages.ts';
import { hasProgram, run, type Service, startService } from '../core/shell.ts';
import { sleep, throwIfInterrupted } from '../core/signals.ts';
import { serverFacts } from '../postgres/server.ts';

const IMAGE = 'postgres:15-bookworm';
const READY_SECONDS = 60;

export interface ThrowawayPostgres {
  postgres: Postgres;
  /** What a script needs in its environment to use this server. */
  env: Record<string, string>;
  /** What it is, for people. */
  description: string;
  /** The directory of a server that runs as a process of this host. */
  directory?: string;
  /** Of the server as a process of this host: stops it, leaving the data. */
  halt: (signal?: NodeJS.Signals) => Promise<void>;
  /** Starts it again after {@link halt}. */
  resume: () => Promise<void>;
  /** Stops it and removes all that it wrote. */
  stop: () => Promise<void>;
}

/** @returns a port of the loopback interface that is free now */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** The directories in which Debian and Ubuntu, or the operator's PATH, have a server's programs; 15 first. */
export function serverPrograms(): string | undefined {
  const root = '/usr/lib/postgresql';
  const packaged = existsSync(root)
    ? readdirSync(root)
        .map(Number)
        .filter(major => major >= 12)
    : [];
  packaged.sort((a, b) => Number(b === 15) - Number(a === 15) || b - a);
  const directories = [
    ...packaged.map(major => `${root}/${major}/bin`),
    ...(process.env.PATH ?? '').split(':'),
  ];
  return directories.find(
    directory => existsSync(`${directory}/initdb`) && existsSync(`${directory}/postgres`),
  );
}

/**
 * Starts a PostgreSQL server for drills and tests, with data, socket and port of its own: from programs on
 * this machine, from a package that it installs (Debian and Ubuntu, as root), or in a container.
 * It ends with this process, however that dies.
 *
 * @param template the data directory of a server with this password that has ended, to be copied: a server as a
 *   process starts in a third of the time then
 */
export async function startThrowawayPostgres(
  password = randomBytes(12).toString('hex'),
  template?: string,
): Promise<ThrowawayPostgres> {
  let programs = serverPrograms();
  if (!programs && canInstall()) {
    await installServer();
    programs = serverPrograms();
  }
  if (programs) return startProcess(programs, password, template);
  if (hasProgram('docker')) return startContainer(password);
  throw new OperationalError(
    'there is no PostgreSQL server on this machine',
    'install one: `apt-get install postgresql-15` (Debian 12) or `postgresql` (Ubuntu), `brew install postgresql@15`, or Docker.',
  );
}

async function installServer(): Promise<void> {
  log.info(
    'there is no PostgreSQL server here: installing one with apt-get (its programs only; no service is started)',
  );
  // Else the package would make a cluster on port 5432 and start it.
  const settings = '/etc/postgresql-common/createcluster.d';
  await mkdir(settings, { recursive: true });
  await writeFile(`${settings}/no-main-cluster.conf`, 'create_main_cluster = false\n');
  await installPackages(['postgresql-common']);
  const { length } = await run(['apt-cache', 'search', '--names-only', '^postgresql-15$'], {
    purpose: 'look for PostgreSQL 15',
  });
  await installPackages([length > 0 ? 'postgresql-15' : 'postgresql']);
}

async function startProcess(
  programs: string,
  password: string,
  template?: string,
): Promise<ThrowawayPostgres> {
  const directory = mkdtempSync(join(tmpdir(), 'throwaway-postgres-'));
  const port = await freePort();
  const postgres: Postgres = { user: 'postgres', password, database: 'postgres', host: '127.0.0.1', port };
  let service: Service | undefined;
  const halt = async (signal: NodeJS.Signals = 'SIGINT') => {
    await service?.stop(signal);
    service = undefined;
  };
  const owner = await unprivilegedUser();
  const asOwner = owner ? ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'] : [];
  const log = openSync(`${directory}/server.log`, 'a', 0o600);
  const resume = async () => {
    const settings = [
      `port=${port}`,
      'listen_addresses=127.0.0.1',
      `unix_socket_directories=${directory}`,
      'shared_buffers=256MB',
      'max_wal_size=4GB',
      'fsync=off', // nothing here outlives the machine
    ];
    const argv = [
      `${programs}/postgres`,
      '-D',
      `${directory}/data`,
      ...settings.flatMap(setting => ['-c', setting]),
    ];
    service = startService([...asOwner, ...argv], { log });
    await untilReady(postgres, service, `${directory}/server.log`);
  };
  const stop = async () => {
    await halt();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await writeFile(`${directory}/password`, password, { mode: 0o600 });
    if (owner) for (const path of [directory, `${directory}/password`]) chownSync(path, owner.uid, owner.gid);
    const initdb = [
      `${programs}/initdb`,
      '-D',
      `${directory}/data`,
      '-U',
      'postgres',
      '-A',
      'scram-sha-256',
      `--pwfile=${directory}/password`,
      '-E',
      'UTF8',
      '--locale=C.UTF-8',
      '-N',
    ];
    // As root, so that the copy keeps its owner.
    const copy = ['cp', '-a', template ?? '', `${directory}/data`];
    await run(template ? copy : [...asOwner, ...initdb], {
      purpose: 'make a PostgreSQL cluster',
      timeout: 120,
      cwd: directory,
    });
    await resume();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    postgres,
    env: {
      ...environment(postgres),
      PATH: `${programs}:${process.env.PATH}`,
    },
    description: `PostgreSQL ${programs.match(/\d+/)?.[0] ?? ''} as a process (${programs})`,
    directory,
    halt,
    resume,
    stop,
  };
}

/** @returns whom the server runs as: PostgreSQL refuses root. Undefined: as whoever runs this. */
async function unprivilegedUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const name = /^postgres:/m.test(readFileSync('/etc/passwd', 'utf8')) ? 'postgres' : 'nobody';
  const ids = await run(['sh', '-c', 'id -u "$0"; id -g "$0"', name], { purpose: `find user ${name}` });
  const [uid, gid] = ids.split('\n').map(Number);
  return { uid: uid!, gid: gid! };
}

async function untilReady(postgres: Postgres, service: Service | undefined, logFile?: string): Promise<void> {
  const deadline = Date.now() + READY_SECONDS * 1000;
  let over = false;
  void service?.ended.then(() => {
    over = true;
  });
  for (;;) {
    throwIfInterrupted();
    try {
      // Over TCP: while the image makes the cluster, a server that it ends again listens on the socket only.
      const listens = [
        'docker',
        'exec',
        postgres.container ?? '',
        'pg_isready',
        '--quiet',
        '--host=127.0.0.1',
      ];
      if (postgres.container) await run(listens, { purpose: `reach PostgreSQL in ${postgres.container}` });
      await serverFacts(postgres);
      return;
    } catch (error) {
      if (!over && Date.now() < deadline) {
        await sleep(0.1);
        continue;
      }
      const last = logFile ? readFileSync(logFile, 'utf8').trim().split('\n').at(-1) : '';
      throw new OperationalError(
        'the throw-away PostgreSQL did not start',
        last || 'see the message before.',
        undefined,
        { cause: error },
      );
    }
  }
}

async function startContainer(password: string): Promise<ThrowawayPostgres> {
  const container = `throwaway-postgres-${randomBytes(4).toString('hex')}`;
  const postgres: Postgres = { user: 'postgres', password, database: 'postgres', container };
  const stop = async () => {
    const argv = ['docker', 'rm', '--force', '--volumes', container];
    await run(argv, { purpose: `remove container ${container}`, evenInterrupted: true });
  };
  log.info(`there is no PostgreSQL server here: using Docker’s ${IMAGE}`);
  const argv = ['docker', 'run', '--detach', '--name', container, '--env', 'POSTGRES_PASSWORD', IMAGE];
  try {
    await run(argv, { purpose: `start ${IMAGE}`, timeout: 300, env: { POSTGRES_PASSWORD: password } });
    await untilReady(postgres, undefined);
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  const unsupported = async () => {
    throw new Error('a container is not halted');
  };
  return {
    postgres,
    env: environment(postgres),
    description: `${IMAGE} in Docker`,
    halt: unsupported,
    resume: unsupported,
    stop,
  };
}

function environment(postgres: Postgres): Record<string, string> {
  return {
    POSTGRES_USER: postgres.user,
    POSTGRES_PASSWORD: postgres.password ?? '',
    POSTGRES_CONTAINER: postgres.container ?? '',
    PGHOST: postgres.host ?? '',
    PGPORT: postgres.port?.toString() ?? '',
  };
}
