import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { CommandError, hasProgram, run } from '../core/shell.ts';
import { withTimeout } from '../core/signals.ts';
import { projectOf } from '../docker/containers.ts';
import { NotConfigured } from './check.ts';

/** Seconds; less than a check has, so that its line can say who did not answer. */
export const COMMAND_SECONDS = 4;

/** What of a container the checks look at. */
export interface Container {
  name: string;
  /** Its service in the Compose file. */
  service: string;
  state: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
  /** Undefined: it has no health check. */
  health?: 'starting' | 'healthy' | 'unhealthy';
  exitCode: number;
  outOfMemory: boolean;
  restarts: number;
  startedAt: Date;
  /** By network. */
  addresses: Record<string, string>;
}

/** Gives the containers of this environment's stack; all checks share one answer. */
export type Containers = () => Promise<Container[]>;

/**
 * Runs `docker ARGS`.
 * @throws {NotConfigured} without docker where PostgreSQL is not reached through it either
 */
export async function docker(config: Config, args: string[], env: Record<string, string> = {}) {
  if (!hasProgram('docker')) {
    if (!config.postgres.container)
      throw new NotConfigured('there is no docker here, and POSTGRES_CONTAINER is empty');
    throw new OperationalError('there is no docker on PATH', 'install Docker, or correct PATH.');
  }
  const purpose = 'ask Docker';
  const ask = () => run(['docker', ...args], { purpose, env, timeout: COMMAND_SECONDS });
  return withTimeout(COMMAND_SECONDS, ask, purpose); // a command that is told to end may take its time
}

const FORMAT = [
  '{"name":{{json .Name}},"labels":{{json .Config.Labels}},"state":{{json .State}}',
  '"restarts":{{.RestartCount}},"networks":{{json .NetworkSettings.Networks}}}',
].join();

interface Inspected {
  name: string;
  labels: Record<string, string>;
  state: {
    Status: Container['state'];
    Health?: { Status: NonNullable<Container['health']> | 'none' };
    ExitCode: number;
    OOMKilled: boolean;
    StartedAt: string;
  };
  restarts: number;
  networks: Record<string, { IPAddress: string }>;
}

/** @returns all containers of the Compose project, those that are stopped too, without `compose run`'s */
export async function listContainers(config: Config): Promise<Container[]> {
  const labels = [`com.docker.compose.project=${projectOf(config)}`, 'com.docker.compose.oneoff=False'];
  const list = ['ps', '--all', '--quiet', '--no-trunc', ...labels.map(label => `--filter=label=${label}`)];
  for (let attempt = 1; ; attempt++) {
    const ids = (await docker(config, list)).split('\n').filter(Boolean);
    if (ids.length === 0) return [];
    try {
      const lines = await docker(config, ['inspect', '--format', FORMAT, ...ids]);
      return lines.trim().split('\n').map(parse);
    } catch (error) {
      // A deploy may remove one in between.
      const gone = error instanceof CommandError && /no such (object|container)/i.test(error.stderr);
      if (!gone || attempt === 3) throw error;
    }
  }
}

function parse(line: string): Container {
  const { name, labels, state, restarts, networks } = JSON.parse(line) as Inspected;
  const health = state.Health?.Status;
  return {
    name: name.replace(/^\//, ''),
    service: labels['com.docker.compose.service'] ?? name,
    state: state.Status,
    health: health === 'none' ? undefined : health,
    exitCode: state.ExitCode,
    outOfMemory: state.OOMKilled,
    restarts,
    startedAt: new Date(state.StartedAt),
    addresses: Object.fromEntries(
      Object.entries(networks).map(([network, { IPAddress }]) => [network, IPAddress]),
    ),
  };
}

/** @returns what a container does that does not run: `exited (137, out of memory)` */
export function stateOf({ state, exitCode, outOfMemory }: Container): string {
  if (state !== 'exited' && state !== 'restarting') return state;
  return `${state} (${exitCode}${outOfMemory ? ', out of memory' : ''})`;
}
