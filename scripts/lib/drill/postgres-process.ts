import { chownSync, existsSync, globSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Postgres } from '../config/config.ts';
import { type Service, startService } from '../core/service.ts';
import { run } from '../core/shell.ts';
import { freePort } from './free-port.ts';
import { untilPostgresReady } from './postgres-ready.ts';

const PACKAGED = '/usr/lib/postgresql';

/** @returns the directory of a server's programs, from Debian's packages (15 first) or from PATH */
export function serverPrograms(): string | undefined {
  const majors = globSync('*', { cwd: PACKAGED })
    .map(Number)
    .filter(major => major >= 14)
    .sort((a, b) => Number(b === 15) - Number(a === 15) || b - a);
  return [...majors.map(major => `${PACKAGED}/${major}/bin`), ...(process.env.PATH ?? '').split(':')].find(
    directory => existsSync(`${directory}/initdb`) && existsSync(`${directory}/postgres`),
  );
}

/** Starts a server in a temporary directory, on a free port. @see startThrowawayPostgres for parameters and errors */
export async function startProcess(programs: string, password: string, template?: string) {
  const directory = mkdtempSync(join(tmpdir(), 'throwaway-postgres-'));
  const data = `${directory}/data`;
  const logFile = `${directory}/server.log`;
  const postgres: Postgres = { user: 'postgres', password, database: 'postgres', host: '127.0.0.1', port: 0 };
  const owner = unprivilegedUser();
  const asOwner = owner ? ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'] : [];
  const log = openSync(logFile, 'a', 0o600);
  let service: Service | undefined;
  const halt = async (signal: NodeJS.Signals = 'SIGINT') => {
    await service?.stop(signal);
    service = undefined;
  };
  const resume = async () => {
    const program = [...asOwner, `${programs}/postgres`];
    service = startService([...program, ...serverArguments(directory, postgres.port!)], { log });
    await untilPostgresReady(postgres, { service, data, logFile });
  };
  /** Another program can take the port before the server does. */
  const startOnFreePort = async (tries = 3): Promise<void> => {
    postgres.port = await freePort();
    try {
      await resume();
    } catch (error) {
      if (tries === 1 || !/Address already in use/.test(readFileSync(logFile, 'utf8'))) throw error;
      await startOnFreePort(tries - 1);
    }
  };
  const stop = async () => {
    await halt();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const passwordFile = `${directory}/password`;
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (owner) for (const path of [directory, passwordFile]) chownSync(path, owner.uid, owner.gid);
    const create = template
      ? ['cp', '-a', template, data] // as root, so that the copy keeps its owner
      : [...asOwner, `${programs}/initdb`, ...clusterArguments(data, passwordFile)];
    await run(create, { purpose: 'create a PostgreSQL cluster', timeout: 120, cwd: directory });
    await startOnFreePort();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    postgres,
    env: { PATH: `${programs}:${process.env.PATH}` },
    description: `PostgreSQL ${programs.match(/\d+/)?.[0] ?? ''} as a process (${programs})`,
    directory,
    halt,
    resume,
    stop,
  };
}

function clusterArguments(data: string, passwordFile: string): string[] {
  const user = ['-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`];
  return ['-D', data, ...user, '-E', 'UTF8', '--locale=C.UTF-8', '-N'];
}

function serverArguments(directory: string, port: number): string[] {
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${directory}`,
    'shared_buffers=256MB',
    'max_wal_size=4GB',
    'fsync=off', // the data need not survive a power cut
  ];
  return ['-D', `${directory}/data`, ...settings.flatMap(setting => ['-c', setting])];
}

/** The user to run the server as, because PostgreSQL refuses root; undefined: this process is not root's. */
function unprivilegedUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8');
  const found = /^postgres:[^:]*:(\d+):(\d+):/m.exec(users) ?? /^nobody:[^:]*:(\d+):(\d+):/m.exec(users);
  return { uid: Number(found![1]), gid: Number(found![2]) };
}
