/** Docker, and what the machine has of what the stack needs. */
import { availableParallelism } from 'node:os';
import type { Config } from '../../config/config.ts';
import { OperationalError } from '../../core/errors.ts';
import { bytes } from '../../core/format.ts';
import { diskOf, readMemory } from '../../core/machine.ts';
import { compose } from '../../docker/commands.ts';
import { docker } from '../../health/docker.ts';
import type { SetupCheck } from './check.ts';

/** `start_interval` of health checks needs Engine 25; Compose 2.26 is the oldest that the files are tested with. */
const OLDEST = { engine: '25.0', compose: '2.26' };

/** WAL (max_wal_size of the Compose files: 4 GB), the images of two releases, and logs (100 MB for each container). */
const DISK = 10 * 2 ** 30;

/** The part of `docker compose config` that is read: https://docs.docker.com/reference/compose-file/services/ */
interface Services {
  services: Record<string, { mem_limit?: string; cpus?: number }>;
}

/** Images, where none are chosen: Compose refuses the files without. */
const ANY_IMAGE = { BACKEND_IMAGE: 'backend', FRONTEND_IMAGE: 'frontend' };

/** @returns lines on Docker, memory, processors and disks */
export async function machineChecks(config: Config): Promise<SetupCheck[]> {
  const [versions, limits, root] = await Promise.all([
    dockerCheck(config),
    limitChecks(config),
    docker(config, ['info', '--format', '{{.DockerRootDir}}']).catch(() => '/'),
  ]);
  const disks = [diskCheck('Docker’s disk', root.trim() || '/'), diskCheck('BACKUP_DIR', config.backupDir)];
  return [versions, ...limits, ...(await Promise.all(disks))];
}

async function dockerCheck(config: Config): Promise<SetupCheck> {
  try {
    const [engine, plugin] = await Promise.all([
      docker(config, ['version', '--format', '{{.Server.Version}}']),
      docker(config, ['compose', 'version', '--short']),
    ]);
    return judgeVersions(engine.trim(), plugin.trim());
  } catch (error) {
    const { message, hint } = operationalOrThrow(error);
    return { name: 'docker', status: 'warning', message, hint };
  }
}

/** @returns what is too old */
export function judgeVersions(engine: string, plugin: string): SetupCheck {
  const old = [
    ...(isOlder(engine, OLDEST.engine) ? [`Docker Engine ${engine} is older than ${OLDEST.engine}`] : []),
    ...(isOlder(plugin, OLDEST.compose) ? [`Compose ${plugin} is older than ${OLDEST.compose}`] : []),
  ];
  return old.length > 0
    ? {
        name: 'docker',
        status: 'warning',
        message: old.join('; '),
        hint: 'update it from Docker’s own packages.',
      }
    : { name: 'docker', status: 'ok', message: `Docker Engine ${engine}, Compose ${plugin}` };
}

/** Compares two parts; 1.10 is newer than 1.9. */
function isOlder(version: string, than: string): boolean {
  const parts = (text: string) => text.replace(/^v/, '').split('.').slice(0, 2).map(Number.parseFloat);
  const [[major = 0, minor = 0], [needed = 0, part = 0]] = [parts(version), parts(than)];
  return major < needed || (major === needed && minor < part);
}

/** Compose reads both env files, and says what it would not accept. */
async function limitChecks(config: Config): Promise<SetupCheck[]> {
  const images = config.images ? {} : ANY_IMAGE;
  const [, ...args] = compose(config.environment, 'config', '--format', 'json');
  const { total } = await readMemory();
  try {
    const text = await docker(config, args, { DEPLOY_ENV: config.environment, ...images });
    return judgeLimits(JSON.parse(text), total, availableParallelism());
  } catch (error) {
    const { message, hint } = operationalOrThrow(error);
    return [
      {
        name: 'memory',
        status: 'unknown',
        message: `${bytes(total)}; Compose can’t read its files: ${message}`,
        hint,
      },
    ];
  }
}

/** @param processors that this machine has @param total bytes of its memory */
export function judgeLimits({ services }: Services, total: number, processors: number): SetupCheck[] {
  const all = Object.entries(services);
  const memory = all.reduce((sum, [, { mem_limit: limit }]) => sum + Number(limit ?? 0), 0);
  const greedy = all.filter(([, { cpus = 0 }]) => cpus > processors).map(([name]) => name);
  return [
    memory > total
      ? {
          name: 'memory',
          status: 'warning',
          message: `the limits of the containers add up to ${bytes(memory)}, and this server has ${bytes(total)}`,
          hint: 'give the server more memory; until then the kernel may end what needs it.',
        }
      : {
          name: 'memory',
          status: 'ok',
          message: `${bytes(total)}; the limits of the containers are ${bytes(memory)}`,
        },
    greedy.length > 0
      ? {
          name: 'processors',
          status: 'warning',
          message: `Docker refuses more processors than this server has (${processors}): ${greedy.join(', ')}`,
          hint: 'give the server more. POSTGRES_CPUS is that of postgres.',
        }
      : { name: 'processors', status: 'ok', message: `${processors}` },
  ];
}

async function diskCheck(what: string, path: string): Promise<SetupCheck> {
  const { free, size } = await diskOf(path);
  const message = `${what} (${path}) has ${bytes(free)} free of ${bytes(size)}`;
  if (free >= DISK) return { name: 'disk', status: 'ok', message };
  const hint = `make room: the write-ahead log, two releases and logs take ${bytes(DISK)}, your data and backups more.`;
  return { name: 'disk', status: 'warning', message, hint };
}

function operationalOrThrow(error: unknown): OperationalError {
  if (error instanceof OperationalError) return error;
  throw error;
}
