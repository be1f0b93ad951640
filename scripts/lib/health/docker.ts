import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { hasProgram, run } from '../core/shell.ts';
import { withTimeout } from '../core/signals.ts';
import { inspectContainers } from '../docker/commands.ts';
import { type Container, lookAtListed, parseContainers, projectOf } from '../docker/containers.ts';
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
  const found = await lookAtListed(
    () => docker(config, list),
    ids => docker(config, inspectContainers(...ids).slice(1)),
  );
  return parseContainers(found ?? '');
}

/** @returns the state of a container that is not running: `exited (137, out of memory)` */
export function stateOf({ state, exitCode, outOfMemory }: Container): string {
  if (state !== 'exited' && state !== 'restarting') return state;
  return `${state} (${exitCode}${outOfMemory ? ', out of memory' : ''})`;
}
