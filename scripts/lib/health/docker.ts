import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { CommandError, hasProgram, run } from '../core/shell.ts';
import { withTimeout } from '../core/signals.ts';
import { inspectContainers } from '../docker/commands.ts';
import { type Container, parseContainers, projectOf } from '../docker/containers.ts';
import { NotConfigured } from './check.ts';

/** Seconds. Less than a check may take, so that its message says which program did not answer. */
export const COMMAND_SECONDS = 4;

/** The containers of this environment's stack; all checks share one answer. */
export type Containers = () => Promise<Container[]>;

/**
 * Runs `docker ARGS`.
 * @throws NotConfigured without docker, if PostgreSQL is not reached through it either; OperationalError when docker fails
 *   or does not answer within {@link COMMAND_SECONDS}
 */
export async function docker(config: Config, args: string[], env: Record<string, string> = {}) {
  if (!hasProgram('docker')) {
    if (!config.postgres.container)
      throw new NotConfigured('there is no docker here, and POSTGRES_CONTAINER is empty');
    throw new OperationalError('there is no docker on PATH', 'install Docker, or correct PATH.');
  }
  const purpose = 'ask Docker';
  const ask = () => run(['docker', ...args], { purpose, env, timeout: COMMAND_SECONDS });
  return withTimeout(COMMAND_SECONDS, ask, purpose); // docker may ignore the SIGTERM that `run` sends
}

/** @returns all containers of the Compose project, also stopped ones, without those of `compose run` */
export async function listContainers(config: Config): Promise<Container[]> {
  const labels = [`com.docker.compose.project=${projectOf(config)}`, 'com.docker.compose.oneoff=False'];
  const list = ['ps', '--all', '--quiet', '--no-trunc', ...labels.map(label => `--filter=label=${label}`)];
  for (let attempt = 1; ; attempt++) {
    const ids = (await docker(config, list)).split('\n').filter(Boolean);
    if (ids.length === 0) return [];
    try {
      return parseContainers(await docker(config, inspectContainers(...ids).slice(1)));
    } catch (error) {
      // A deployment may remove a container between the two commands.
      const gone = error instanceof CommandError && /no such container/i.test(error.stderr);
      if (!gone || attempt === 3) throw error;
    }
  }
}

/** @returns the state of a container that is not running: `exited (137, out of memory)` */
export function stateOf({ state, exitCode, outOfMemory }: Container): string {
  if (state !== 'exited' && state !== 'restarting') return state;
  return `${state} (${exitCode}${outOfMemory ? ', out of memory' : ''})`;
}
