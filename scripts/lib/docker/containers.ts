import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { CommandError, run, sh } from '../core/shell.ts';
import { inspectContainers } from './commands.ts';

/** @returns the name of the Compose project */
export function projectOf({ app, environment }: Config): string {
  return `${app}-${environment}`;
}

/** @returns a container's name as the Compose files give it */
export function containerOf({ app, environment }: Config, service: string): string {
  return `${app}-${service}-${environment}`;
}

export interface Container {
  /** Another container of this name has another one. */
  id: string;
  name: string;
  /** Its service in the Compose file. */
  service: string;
  /** What it was started from: a name with a tag or digest. */
  image: string;
  /** The id of that image: `sha256:…`. */
  imageId: string;
  state: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
  /** Undefined: it has no health check. */
  health?: 'starting' | 'healthy' | 'unhealthy';
  /** What the health check printed last; empty before its first end. */
  healthOutput: string;
  exitCode: number;
  outOfMemory: boolean;
  restarts: number;
  startedAt: Date;
  /** The limit in bytes; 0: none. */
  memory: number;
  /** By network. */
  addresses: Record<string, string>;
}

/** A line of {@link inspectContainers}. */
interface Inspected extends Pick<Container, 'id' | 'name' | 'image' | 'imageId' | 'restarts' | 'memory'> {
  labels: Record<string, string>;
  state: {
    Status: Container['state'];
    Health?: { Status: NonNullable<Container['health']> | 'none'; Log?: { Output: string }[] | null };
    ExitCode: number;
    OOMKilled: boolean;
    StartedAt: string;
  };
  networks: Record<string, { IPAddress: string }>;
}

/** @param text the output of {@link inspectContainers} */
export function parseContainers(text: string): Container[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map(line => {
      const { labels, state, networks, ...rest } = JSON.parse(line) as Inspected;
      const health = state.Health?.Status;
      return {
        ...rest,
        name: rest.name.replace(/^\//, ''),
        service: labels['com.docker.compose.service'] ?? rest.name,
        state: state.Status,
        health: health === 'none' ? undefined : health,
        healthOutput: state.Health?.Log?.at(-1)?.Output.trim() ?? '',
        exitCode: state.ExitCode,
        outOfMemory: state.OOMKilled,
        startedAt: new Date(state.StartedAt),
        addresses: Object.fromEntries(
          Object.entries(networks).map(([network, { IPAddress }]) => [network, IPAddress]),
        ),
      };
    });
}

/** Times that both are done, and milliseconds between. */
const LOOKS = { most: 5, pause: 200 };

/**
 * Looks at containers that are listed before. Docker can remove one between the two, or still list one that is gone: then
 * both are done again.
 *
 * @param list prints the ids, a line each
 * @param look with these ids; not called without any
 * @returns what `look` gives; undefined without any container
 * @throws CommandError where Docker fails in another way, or a container stays listed that is gone
 */
export async function lookAtListed<T>(
  list: () => Promise<string>,
  look: (ids: string[]) => Promise<T>,
): Promise<T | undefined> {
  for (let times = 1; ; times++) {
    const ids = (await list()).split('\n').filter(Boolean);
    if (ids.length === 0) return undefined;
    try {
      return await look(ids);
    } catch (error) {
      const isGone = error instanceof CommandError && /no such container/i.test(error.stderr);
      if (!isGone || times === LOOKS.most) throw error;
    }
    await delay(LOOKS.pause);
  }
}

/** @returns the container of a service, or undefined if there is none */
export async function inspect(config: Config, service: string): Promise<Container | undefined> {
  const name = containerOf(config, service);
  const found = await lookAtListed(
    () => sh(`look for ${name}`)`docker container ls --all --filter ${`name=^${name}$`} --quiet`,
    ids => run(inspectContainers(...ids), { purpose: `inspect ${name}` }),
  );
  return found === undefined ? undefined : parseContainers(found)[0];
}

/** Seconds in which Docker ends a removal that it has begun. */
const REMOVAL = 30;

/**
 * Removes a one-off container, if there is one, also after a signal. Docker refuses while it removes it itself, as it does
 * with `--rm` when the run was killed: then this waits for that.
 *
 * @throws CommandError when Docker can't remove it
 */
export async function removeContainer(name: string): Promise<void> {
  for (let seconds = 0; ; seconds++) {
    try {
      await sh(`remove container ${name}`, { evenInterrupted: true })`docker rm --force ${name}`;
      return;
    } catch (error) {
      const isLeaving = error instanceof CommandError && /is already in progress/.test(error.stderr);
      if (!isLeaving || seconds === REMOVAL) throw error;
    }
    await delay(1000); // a signal does not end it
  }
}
