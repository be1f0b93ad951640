import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { CommandError, hasProgram, run } from '../core/shell.ts';
import { inspectContainers } from '../docker/commands.ts';
import { type Container, parseContainers, projectOf } from '../docker/containers.ts';
import { NotConfigured } from './check.ts';
import { within } from './runner.ts';

/** Seconds; less than a check has, so that its line can say who did not answer. */
export const COMMAND_SECONDS = 4;

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
  return within(COMMAND_SECONDS, ask, purpose); // a command that is told to end may take its time
}

/** @returns all containers of the Compose project, those that are stopped too, without `compose run`'s */
export async function listContainers(config: Config): Promise<Container[]> {
  const labels = [`com.docker.compose.project=${projectOf(config)}`, 'com.docker.compose.oneoff=False'];
  const list = ['ps', '--all', '--quiet', '--no-trunc', ...labels.map(label => `--filter=label=${label}`)];
  for (let attempt = 1; ; attempt++) {
    const ids = (await docker(config, list)).split('\n').filter(Boolean);
    if (ids.length === 0) return [];
    try {
      return parseContainers(await docker(config, inspectContainers(...ids).slice(1)));
    } catch (error) {
      // A deploy may remove one in between.
      const gone = error instanceof CommandError && /no such container/i.test(error.stderr);
      if (!gone || attempt === 3) throw error;
    }
  }
}

/** @returns what a container does that does not run: `exited (137, out of memory)` */
export function stateOf({ state, exitCode, outOfMemory }: Container): string {
  if (state !== 'exited' && state !== 'restarting') return state;
  return `${state} (${exitCode}${outOfMemory ? ', out of memory' : ''})`;
}
