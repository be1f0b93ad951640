/**
 * What a deployment sees of Docker and of Nginx, as values in this process: containers that start, become ready and go,
 * the lists that Nginx has loaded, and whom it sends requests to. Whatever would cost a visitor's request is written down
 * as a loss at the moment that it happens. It answers the commands that a deployment runs
 * and no others; that these commands do the same in a real engine is what test/stack/ is for.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Answer {
  code: number;
  stdout: string;
  stderr: string;
}

interface Container {
  image: string;
  /** Both env files as they were when it was created. */
  files: string[];
  state: 'running' | 'exited';
  ready: boolean;
  restarts: number;
  /** What Docker's health check says; undefined: there is none. */
  health?: 'starting' | 'healthy' | 'unhealthy';
  /** When it was started, in milliseconds since 1970. */
  startedAt: number;
  /** When it left the list that Nginx has loaded, in seconds; undefined: it never was in it. */
  unlisted?: number;
  /** Whether its count of requests was looked at since. */
  drained: boolean;
}

interface Listed {
  name: string;
  down: boolean;
  /** When Nginx knows its address. */
  resolved: number;
}

type List = 'backend' | 'frontend';

/** Seconds by which a file's time may be before that of this process, which a busy machine may pause in between. */
const CLOCKS_DIFFER = 0.5;

/** How a container of an image turns out. */
export type Fate = 'ready' | 'never ready' | 'ends at once';

export interface DockerModel {
  containers: Map<string, Container>;
  /** Names of images that are here. */
  images: Set<string>;
  /** What containers of an image do; those not named become ready. */
  fates: Map<string, Fate>;
  /** What Docker's health check says of a container of an image when it is started. */
  health: Map<string, Container['health']>;
  /** Whether Nginx refuses its configuration. */
  refused: boolean;
  /** Seconds of all sleeps, none of which was slept. */
  clock: number;
  /** What visitors have lost. */
  losses: string[];
  /** Commands that have changed something, in a word or two each: `stop backend-1`. */
  changes: string[];
  /** Answers what is run in Nginx's container instead of the model, unless it is undefined. */
  shell?: (script: string, timeout: number) => Answer | undefined;
  /** Of Nginx's settings, in seconds. */
  times: { oldWorkers: number; resolve: number };
  answer(argv: string[], env: Record<string, string | undefined>, timeout?: number): Answer;
  /** @returns what the command would change, in a word or two; undefined for one that only looks */
  changeOf(argv: string[]): string | undefined;
  sleep(seconds: number): void;
  /** Writes down what a request that Nginx takes now would lose. */
  lookAround(when: string): void;
  /** Looks for what else a visitor would lose. @returns losses */
  alsoLost?: () => string[];
  /** Images of containers that are never started. */
  held: string[];
  /** Whether images can be pulled. Default: true. */
  registry: boolean;
  /** `docker image prune --all --force` */
  prune(): void;
  /** @returns the names that Nginx sends requests to */
  listed(list: List): string[];
}

const said = (stdout = ''): Answer => ({ code: 0, stdout, stderr: '' });
const failed = (stderr: string, code = 1): Answer => ({ code, stdout: '', stderr });
const listOf = (service: string): List => (service.startsWith('backend') ? 'backend' : 'frontend');

/** @param root where nginx/upstreams is @param start each service that runs, and its image */
export function dockerModel(root: string, start: Record<string, string>): DockerModel {
  const loaded: Record<List, Listed[]> = { backend: [], frontend: [] };
  let starts = 0;
  const filesNow = () =>
    ['.env.production', '.env.production.app']
      .map(name => join(root, name))
      .map(path => (existsSync(path) ? readFileSync(path, 'utf8') : ''));
  const container = (image: string): Container => ({
    image,
    files: filesNow(),
    state: 'running',
    ready: true,
    restarts: 0,
    startedAt: ++starts,
    drained: false,
  });
  const read = (list: List): Listed[] =>
    [
      ...readFileSync(join(root, `nginx/upstreams/${list}.conf`), 'utf8').matchAll(
        /^server ([\w-]+):.*?( down)?;/gm,
      ),
    ].map(([, name, down]) => ({ name: name!, down: Boolean(down), resolved: 0 }));

  const model: DockerModel = {
    containers: new Map(Object.entries(start).map(([name, image]) => [name, container(image)])),
    images: new Set(Object.values(start)),
    fates: new Map(),
    health: new Map(),
    refused: false,
    clock: 0,
    losses: [],
    changes: [],
    times: { oldWorkers: 5, resolve: 2 },
    lookAround,
    registry: true,
    held: [],
    prune() {
      const used = [...[...model.containers.values()].map(({ image }) => image), ...model.held];
      for (const image of model.images) if (!used.includes(image)) model.images.delete(image);
    },
    listed: list => loaded[list].filter(({ down }) => !down).map(({ name }) => name),
    sleep(seconds) {
      model.clock += seconds;
      lookAround(`after a pause of ${seconds} s`);
    },
    changeOf(argv) {
      const line = argv.join(' ');
      if (/ compose .* rm --stop /.test(line)) return `stop ${servicesOf(argv).join(' ')}`;
      if (/ compose .* up --detach /.test(line)) return `start ${servicesOf(argv).join(' ')}`;
      if (line.includes('nginx -s reload')) return 'reload';
      if (line.startsWith('docker pull ')) return `pull ${argv.at(-1)}`;
      if (line.startsWith('docker container create ')) return `hold ${argv.at(-2)}`;
      if (line.startsWith('docker container rm ')) return 'release images';
      return undefined;
    },
    answer(argv, env, timeout = 60) {
      const change = model.changeOf(argv);
      if (change) model.changes.push(change);
      const answer = respond(argv, env, timeout);
      if (change) lookAround(`after: ${change}`);
      return answer;
    },
  };

  /** Seconds since the beginning, by the product's own clock, on which what it sleeps goes by. */
  const began = performance.now();
  const now = () => (performance.now() - began) / 1000;

  /** Whether a request that Nginx takes now gets an answer. */
  function lookAround(when: string): void {
    for (const list of ['backend', 'frontend'] as const) {
      const open = loaded[list].filter(({ down }) => !down);
      const serving = open.filter(
        ({ name, resolved }) => resolved <= now() + CLOCKS_DIFFER && model.containers.get(name)?.ready,
      );
      if (serving.length === 0) model.losses.push(`the ${list} has no server that answers, ${when}`);
    }
    model.losses.push(...(model.alsoLost?.() ?? []).map(loss => `${loss}, ${when}`));
  }

  function load(): void {
    for (const list of ['backend', 'frontend'] as const) {
      const before = new Map(loaded[list].map(each => [each.name, each]));
      const next = read(list).map(each => ({
        ...each,
        resolved: before.get(each.name)?.resolved ?? (before.size > 0 ? now() + model.times.resolve : 0),
      }));
      loaded[list] = next;
      for (const [name, { down }] of before) {
        const gone = model.containers.get(name);
        if (gone && !down && !model.listed(list).includes(name)) {
          gone.unlisted = now();
          gone.drained = false;
        }
      }
    }
  }

  function stop(service: string): void {
    const gone = model.containers.get(service);
    if (!gone) return;
    model.containers.delete(service);
    if (!gone.ready) return;
    const list = listOf(service);
    if (model.listed(list).includes(service))
      model.losses.push(`${service} is stopped while it is in the list`);
    else if (gone.unlisted !== undefined) {
      if (now() - gone.unlisted < model.times.oldWorkers)
        model.losses.push(`${service} is stopped while old workers may send it requests`);
      if (list === 'backend' && !gone.drained)
        model.losses.push(`${service} is stopped before its requests are counted`);
    }
  }

  function respond(argv: string[], env: Record<string, string | undefined>, timeout: number): Answer {
    const line = argv.join(' ');
    if (line.startsWith('docker compose ') && env.DEPLOY_ENV !== 'production')
      return failed('refers to undefined config'); // where a shell says DEPLOY_ENV=staging
    if (line.includes('--filter label='))
      return said(model.held.map((image, id) => `${id} ${image}\n`).join(''));
    if (line.startsWith('docker container create ')) {
      if (!model.images.has(argv.at(-2)!)) return failed(`No such image: ${argv.at(-2)}`);
      model.held.push(argv.at(-2)!);
      return said('id\n');
    }
    if (line.startsWith('docker container rm ')) {
      model.held.length = 0;
      return said();
    }
    if (line.startsWith('docker container ls ')) {
      const service = /name=\^\w+-((?:backend|frontend)(?:-\d)?|backup)-production\$/.exec(line)?.[1] ?? '';
      return said(model.containers.has(service) ? `${service}\n` : '');
    }
    if (line.startsWith('docker container inspect ')) {
      const name = argv.at(-1)!;
      const { image, state, restarts, health, startedAt } = model.containers.get(name)!;
      return said(
        JSON.stringify({
          ...{
            id: `${name}-${startedAt}`,
            name,
            image,
            imageId: `sha256:${image}`,
            labels: {},
            memory: 0,
            restarts,
          },
          networks: { app: { IPAddress: `10.9.0.${startedAt}` } },
          state: {
            Status: state,
            StartedAt: new Date(startedAt).toISOString(),
            ...(health ? { Health: { Status: health, Log: [{ Output: 'what it printed\n' }] } } : {}),
          },
        }),
      );
    }
    if (line.startsWith('docker image inspect ')) {
      const image = argv.at(-1)!;
      return model.images.has(image) ? said(`sha256:${image}\n`) : failed(`No such image: ${image}`);
    }
    if (line.startsWith('docker pull ')) {
      if (!model.registry) return failed('Error response from daemon: connection refused');
      model.images.add(argv.at(-1)!);
      return said();
    }
    if (/ compose .* rm --stop /.test(line)) {
      for (const each of servicesOf(argv)) stop(each);
      return said();
    }
    if (/ compose .* up --detach /.test(line)) {
      for (const each of servicesOf(argv)) {
        if (model.containers.has(each)) continue; // --no-recreate
        const name = listOf(each) === 'backend' ? 'BACKEND_IMAGE' : 'FRONTEND_IMAGE';
        const image = env[name] ?? inEnvFile(name);
        if (!model.images.has(image)) return failed(`No such image: ${image}`);
        const fate = model.fates.get(image) ?? 'ready';
        const state = fate === 'ends at once' ? 'exited' : 'running';
        model.containers.set(each, {
          ...container(image),
          state,
          ready: fate === 'ready',
          health: model.health.get(image),
        });
      }
      return said();
    }
    if (line.startsWith('docker exec ')) return model.shell?.(argv.at(-1)!, timeout) ?? inNginx(argv.at(-1)!);
    if (line === 'flock -n 0') return said();
    if (line.includes('docker logs')) return said('the last line');
    throw new Error(`the model knows no answer to: ${line}`);
  }

  /** @returns a value of the file that Compose reads for what the environment does not say */
  function inEnvFile(name: string): string {
    const text = readFileSync(join(root, '.env.production'), 'utf8');
    return new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? '';
  }

  function inNginx(script: string): Answer {
    if (script.includes('nginx -t')) {
      return model.refused ? failed('nginx: [emerg] unknown directive "nonsense"') : said();
    }
    if (script.includes('nginx -s reload')) {
      if (model.refused) return failed('the old workers still accept connections');
      load();
      return said();
    }
    const asked = model.containers.get(/https?:\/\/([\w-]+):/.exec(script)?.[1] ?? '');
    const drained = model.containers.get(/ahostsv4 ([\w-]+)/.exec(script)?.[1] ?? '');
    if (script.includes('ahostsv4')) {
      if (drained) drained.drained = true;
      const by = script.includes('http_requests_in_flight') ? 'requests' : 'connections';
      return said(`${drained?.ready ? 'idle' : 'busy'} ${by}`);
    }
    if (script.includes('curl '))
      return asked?.ready ? said() : failed('', script.startsWith('curl') ? 22 : 1);
    throw new Error(`the model knows no answer to this in Nginx’s container: ${script}`);
  }

  load();
  return model;
}

/** The services that a line of Compose ends with. */
function servicesOf(argv: string[]): string[] {
  return argv.slice(argv.findLastIndex(word => word.startsWith('--')) + 1).filter(word => word !== 'never');
}
