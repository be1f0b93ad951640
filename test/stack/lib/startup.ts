/** How a stack starts while visitors are there: who is answered what, from the first backend's readiness on. */
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import * as assert from 'uvu/assert';
import { ensureEngine } from '../../engine/engine.ts';
import { attempt } from '../../engine/process.ts';
import { ensureImages } from '../../images/images.ts';
import { until } from '../../support/core/world.ts';
import { ensureApp } from './app.ts';
import { hostOf } from './http.ts';
import type { Readiness, Request, Sight, View } from './onlooker.ts';
import { layOut, officialImages, ROOT, type Stack } from './stack.ts';

export const BACKENDS = ['backend-1', 'backend-2'];
export const SERVICES = ['postgres', 'redis', ...BACKENDS, 'frontend', 'nginx'];
/** Milliseconds for which Nginx may still answer 502 after the first backend is ready. */
const BOUND = 1_000;
/** How many answers of each kind, without a failure between them, show that a start is over. */
const ENOUGH = 15;

export interface Start {
  /** Requests that were sent before the first backend was ready. */
  before: Request[];
  /** Answers of Nginx's own, 502 and 504, to requests sent more than a second after the first backend was ready. */
  late: Request[];
  /** Requests sent after `start` had returned that failed. */
  failedAfter: Request[];
  /** Milliseconds from the first backend's readiness to the end of the last 502 or 504; 0 if there is none after it. */
  last: number;
}

interface Turn {
  /** Makes the state to start from; visitors are there already. */
  stop?: () => Promise<unknown>;
  start: () => Promise<unknown>;
  /** Those that are ready at the end. */
  backends?: string[];
}

/** The stack with its stores and a migrated database; every other container is created, and none of them runs. */
export async function createStack(): Promise<Stack> {
  const engine = await ensureEngine();
  await ensureImages(engine, officialImages());
  const stack = await layOut('production', await ensureApp(engine));
  await stack.compose('up', '--detach', '--wait', '--wait-timeout', '180', 'postgres', 'redis');
  await stack.compose('run', '--rm', '--no-deps', 'backend-1', 'node', 'src/migrate.ts', 'deploy');
  await stack.compose('up', '--no-start');
  return stack;
}

/** @returns a way to see a start, with visitors who are there from before it until all is well */
export async function onlookersOf(stack: Stack): Promise<(turn: Turn) => Promise<Start>> {
  const sights = await look(stack);
  const readiness = () => sights.filter((each): each is Readiness => 'backend' in each);
  const isReady = (name: string) => readiness().findLast(({ backend }) => backend === name)?.ready === true;

  return async ({ stop, start, backends = BACKENDS }) => {
    await stop?.();
    const begun = Date.now();
    const readyAtBegin = BACKENDS.some(isReady);
    await start();
    const returned = Date.now();
    const requests = () =>
      sights.filter((each): each is Request => 'what' in each).filter(({ started }) => started >= begun);
    await until(
      'all backends are ready and all requests are answered',
      () => backends.every(isReady) && areAnswered(requests()),
      180,
    );

    const first = readiness().find(({ ready, at }) => ready && at >= begun)?.at ?? begun;
    const seen = requests();
    // Before Nginx serves, nobody is told 502.
    const nginx = await startOf(stack, 'nginx');
    const serving = seen.find(
      ({ started, status }) => started > nginx && typeof status === 'number',
    )!.started;
    const ready = Math.max(readyAtBegin ? begun : first, nginx > begun ? serving : 0);
    // What holds the onlooker up for lack of a processor holds Nginx up as well.
    const delays = seen.filter(({ started }) => started > ready - BOUND && started < ready + 2 * BOUND);
    const bound = ready + BOUND + Math.max(0, ...delays.map(({ delay }) => delay));
    const own = seen.filter(({ status }) => status === 502 || status === 504);
    return {
      before: seen.filter(({ started }) => started < ready),
      late: own.filter(({ started }) => started > bound),
      failedAfter: seen.filter(each => each.started > returned && !isGood(each)),
      last: Math.max(0, ...own.map(({ ended }) => ended - ready)),
    };
  };
}

const isGood = ({ status }: Request) => status === 200 || status === 202;

function areAnswered(requests: Request[]): boolean {
  const kinds = ['GET', 'POST', 'socket', 'site'].map(kind => requests.filter(({ what }) => what === kind));
  return kinds.every(
    answers => answers.length >= ENOUGH && answers.slice(-ENOUGH).every(each => isGood(each)),
  );
}

/** Starts the onlooker beside the backends. @returns what it sees, which grows */
async function look(stack: Stack): Promise<Sight[]> {
  const name = `${stack.app}-onlooker`;
  stack.atExit(['rm', '--force', name]);
  const view: View = { api: hostOf(stack, 'api'), site: hostOf(stack, 'site'), backends: BACKENDS };
  const place = ['--name', name, '--network', networkOf(stack), '--volume', `${ROOT}:/repository:ro`];
  // Names that Docker does not know are nobody's: no lookup waits for a name server outside.
  const run = [
    'run',
    '--rm',
    '--interactive',
    '--dns',
    '127.0.0.1',
    ...place,
    stack.variables.BACKEND_IMAGE!,
  ];
  const program = ['node', '/repository/test/stack/lib/onlooker.ts', JSON.stringify(view)];
  const child = spawn('docker', [...run, ...program], {
    env: stack.engine.env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const sights: Sight[] = [];
  let over = false;
  createInterface(child.stdout)
    .on('line', line => sights.push(JSON.parse(line)))
    .once('close', () => {
      over = true;
    });
  await until('the onlooker looks', () => over || sights.length > 0, 120);
  assert.not(over, 'the onlooker has ended');
  // It looks on for as long as something else keeps this process alive.
  child.unref();
  for (const stream of [child.stdin, child.stdout] as unknown as Socket[]) stream.unref();
  return sights;
}

export const networkOf = (stack: Stack) => `${stack.app}-${stack.environment}_app`;

/** @returns what Nginx has written to its error log since then */
export async function errorsOf(stack: Stack, since: Date): Promise<string> {
  const args = ['logs', '--since', since.toISOString(), stack.container('nginx')];
  return (await attempt('docker', args, { env: stack.engine.env })).stderr;
}

/** @returns when a container was last started, in milliseconds since 1970 */
async function startOf(stack: Stack, service: string): Promise<number> {
  return Date.parse(
    await stack.docker('inspect', '--format', '{{.State.StartedAt}}', stack.container(service)),
  );
}

/** Ends everything at once as a loss of power does. */
export async function killAll(stack: Stack, services = SERVICES): Promise<void> {
  const containers = services.map(stack.container);
  await attempt('docker', ['kill', ...containers], { env: stack.engine.env });
  // One that had just ended by itself, for lack of the others, would be started again by Docker.
  await stack.docker('stop', '--signal', 'KILL', ...containers);
}

/** Starts containers as Docker does after a boot: no order but that of the groups is kept. */
export async function startInOrder(stack: Stack, groups: string[][]): Promise<void> {
  for (const group of groups)
    await Promise.all(group.map(service => stack.docker('start', stack.container(service))));
}

/** Gives an instance another address than it has, by a container that takes that one. */
export async function startElsewhere(stack: Stack, service: string): Promise<void> {
  const format = `{{with index .NetworkSettings.Networks "${networkOf(stack)}"}}{{.IPAddress}}{{end}}`;
  const addressOf = (container: string) => stack.docker('inspect', '--format', format, container);
  const before = await addressOf(stack.container(service));
  // Not `kill`, which does not wait until the address is free.
  await stack.docker('stop', '--signal', 'KILL', stack.container(service));
  const others: string[] = [];
  try {
    // Which of the free addresses a container gets is Docker's to choose.
    while (others.length === 0 || (await addressOf(others.at(-1)!)) !== before) {
      assert.ok(others.length < 20, `no container gets ${before}`);
      const name = `${stack.app}-in-its-place-${others.length}`;
      const place = ['--name', name, '--network', networkOf(stack), stack.variables.BACKEND_IMAGE!];
      others.push(name);
      await stack.docker('run', '--detach', '--rm', '--init', ...place, 'sleep', '600');
    }
    await stack.docker('start', stack.container(service));
    assert.is.not(await addressOf(stack.container(service)), before);
  } finally {
    await stack.docker('rm', '--force', ...others);
  }
}

/** @throws if a visitor was told 502 for longer than a second after the first backend was ready */
export function assertPrompt({ late, last }: Start, what: string): void {
  console.log(`${what}: the last 502 ended ${last} ms after the first backend was ready`);
  assert.equal(late, [], what);
}
