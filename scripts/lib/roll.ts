import type { Config, Images } from './config.ts';
import { messageOf, OperationalError } from './errors.ts';
import { throwIfSignalled } from './interrupt.ts';
import { log } from './log.ts';
import { CommandError, run } from './shell.ts';
import { compose, containerOf, imageId, inspect } from './stack.ts';
import { inNginx, readUpstream, type ServerLine, serviceOf, setUpstream } from './upstreams.ts';

/** Nginx's `keepalive_min_timeout`: for so long an old worker may still begin a request by the old list. */
const OLD_WORKERS_SECONDS = 6;
/** How long requests may take to end: nginx/snippets/api.conf waits 120 s for an upload's answer. */
const DRAIN_SECONDS = 125;

/**
 * Makes every instance of `wanted` run the backend's image, one after the other, without losing a request: each is
 * out of Nginx's list, and has answered what it was asked, before it is replaced, and is back in it when it is ready.
 * It compares and converges, so it can be begun again after it was killed at any point, and towards either release.
 *
 * @param wanted the list in the end
 * @throws when an instance does not become ready; it is then out of the list, and those in it serve
 */
export async function rollBackends(config: Config, images: Images, wanted: ServerLine[]): Promise<void> {
  const fit = new Map<ServerLine, boolean>();
  for (const line of wanted) fit.set(line, await isFit(config, serviceOf(line)));
  const target = await imageId(images.backend);
  const current = new Map<ServerLine, boolean>();
  for (const line of wanted)
    current.set(line, fit.get(line)! && (await inspect(config, serviceOf(line)))?.imageId === target);
  // Those that don't serve anyway come first: every one replaced is then one more to lean on.
  const todo = wanted
    .filter(line => !current.get(line))
    .toSorted((a, b) => Number(fit.get(a)) - Number(fit.get(b)));
  for (const [turn, line] of todo.entries()) {
    throwIfSignalled();
    const service = serviceOf(line);
    const others = wanted.filter(other => other !== line && fit.get(other));
    if (others.length === 0 && fit.get(line)) {
      throw new OperationalError(
        `${service} is the only instance that serves`,
        'start another one first: scale.ts 2, or deploy with --surge.',
      );
    }
    log.info(`${service} (${turn + 1} of ${todo.length})`);
    if (others.length > 0) await setUpstream(config, 'backend', others);
    if (fit.get(line)) await leaningOn(config, others, line, () => drain(config, service));
    fit.set(line, false);
    await replace(config, service, images);
    await untilReady(config, service);
    fit.set(line, true);
    log.done(`${service} serves ${shortName(images.backend)}`);
  }
  throwIfSignalled();
  await setUpstream(config, 'backend', wanted);
}

/**
 * Runs `work` while `others` have all requests, and looks whether they have borne them.
 *
 * @throws when one has not; the list is then of those that have, and of `spare`, which nobody has touched
 */
async function leaningOn(config: Config, others: ServerLine[], spare: ServerLine, work: () => Promise<void>) {
  const restarts = async (line: ServerLine) => (await inspect(config, serviceOf(line)))?.restarts;
  const before = new Map<ServerLine, number | undefined>();
  for (const line of others) before.set(line, await restarts(line));
  await work();
  const fallen: ServerLine[] = [];
  for (const line of others) {
    const ended = (await restarts(line)) !== before.get(line);
    if (ended || !(await isFit(config, serviceOf(line)))) fallen.push(line);
  }
  if (fallen.length === 0) return;
  await setUpstream(config, 'backend', [...others.filter(line => !fallen.includes(line)), spare]);
  throw new OperationalError(
    `${fallen.map(serviceOf).join(', ')} did not bear the requests of ${serviceOf(spare)}, which was not replaced`,
    `docker logs ${containerOf(config, serviceOf(fallen[0]!))} says why, as long as it is there.`,
  );
}

/**
 * The same for the frontend, which has one instance: a second one takes over while the first is replaced.
 */
export async function rollFrontend(config: Config, images: Images): Promise<void> {
  const list = await readUpstream('frontend');
  const named = (service: string) => list.map(line => line.replace(/^server [\w-]+:/, `server ${service}:`));
  const now = await inspect(config, 'frontend');
  if (now?.state !== 'running' || now.imageId !== (await imageId(images.frontend))) {
    throwIfSignalled();
    log.info('frontend');
    // One that a killed run has left is what visitors see, of whichever release: it stays until the other one is ready.
    const standsIn = serviceOf(list[0] ?? '') === 'frontend-2' && (await isFit(config, 'frontend-2'));
    if (!standsIn) {
      await replace(config, 'frontend-2', images);
      await untilReady(config, 'frontend-2');
    }
    await setUpstream(config, 'frontend', named('frontend-2'));
    await pause(OLD_WORKERS_SECONDS);
    await replace(config, 'frontend', images);
    log.done(`frontend runs ${shortName(images.frontend)}`);
  }
  await untilReady(config, 'frontend');
  await setUpstream(config, 'frontend', named('frontend'));
  if (await inspect(config, 'frontend-2')) {
    await pause(OLD_WORKERS_SECONDS);
    await remove(config, 'frontend-2');
  }
}

/** Takes instances out of the list for good: their requests end, then they do. */
export async function retire(config: Config, wanted: ServerLine[], services: string[]): Promise<void> {
  await setUpstream(config, 'backend', wanted);
  for (const service of services) {
    if (await isFit(config, service)) await drain(config, service);
    await remove(config, service);
    log.done(`${service} is stopped`);
  }
}

/** Starts one more instance and waits until it is ready. Nginx does not know of it yet. */
export async function addInstance(config: Config, service: string, images?: Images): Promise<void> {
  const wanted = images ?? config.images;
  const left = await inspect(config, service);
  if (left && wanted && left.imageId !== (await imageId(wanted.backend))) await remove(config, service);
  await compose(config, [...UP, service], { purpose: `start ${service}`, ...(images ? { images } : {}) });
  await untilReady(config, service);
  log.done(`${service} is ready`);
}

const UP = ['up', '--detach', '--no-deps', '--no-build', '--pull', 'never', '--no-recreate'];

async function replace(config: Config, service: string, images: Images): Promise<void> {
  await remove(config, service);
  await compose(config, [...UP, service], { purpose: `start ${service}`, images });
}

/** Its stop signal, its grace period, then it is gone. */
async function remove(config: Config, service: string): Promise<void> {
  await compose(config, ['rm', '--stop', '--force', service], { purpose: `stop ${service}` });
}

const LIVE = '/api/v1/health';

function address(service: string): { ready: string } {
  return service.startsWith('backend')
    ? { ready: `http://${service}:3000${LIVE}/ready` }
    : { ready: `http://${service}:80/` };
}

/** @returns whether an instance runs and is ready at this moment, as Nginx sees it */
export async function isFit(config: Config, service: string): Promise<boolean> {
  if ((await inspect(config, service))?.state !== 'running') return false;
  try {
    await inNginx(config, `curl -fsS -m 5 -o /dev/null ${address(service).ready}`, `ask ${service}`);
    return true;
  } catch (error) {
    if (error instanceof CommandError && CURL_HAS_NO_ANSWER.includes(error.status ?? 0)) return false;
    throw error; // whether it is ready, nobody has said
  }
}

/** No name, no connection, 4xx and 5xx, too late, nothing, cut off: as curl's manual numbers them. */
const CURL_HAS_NO_ANSWER = [6, 7, 22, 28, 52, 56];

/** Waits until an instance is ready in three looks in a row; gives up at once on one that ends. */
async function untilReady(config: Config, service: string): Promise<void> {
  const deadline = Date.now() + config.deploy.readyTimeout * 1000;
  const look = `n=0; for i in 1 2 3 4 5 6; do
    if curl -fsS -m 3 -o /dev/null ${address(service).ready}; then n=$((n+1)); [ $n = 3 ] && exit 0; else n=0; fi
    sleep 0.3
  done; exit 1`;
  for (;;) {
    throwIfSignalled();
    const container = await inspect(config, service);
    const ended = container?.state !== 'running' || container.restarts > 0;
    try {
      if (!ended) return await inNginx(config, look, `ask ${service}`).then(() => undefined);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
    if (ended || Date.now() > deadline) {
      const how = ended ? 'ended soon after its start' : `is not ready after ${config.deploy.readyTimeout} s`;
      throw new OperationalError(
        `${service} ${how}${await lastWords(config, service)}`,
        `docker logs ${containerOf(config, service)} says more, as long as it is there.`,
      );
    }
  }
}

async function lastWords(config: Config, service: string): Promise<string> {
  try {
    const logs = ['bash', '-c', 'docker logs --tail 3 "$1" 2>&1', 'bash', containerOf(config, service)];
    const text = (await run(logs, { purpose: 'read the log' })).trim();
    return text ? `; its last words:\n  ${text.replaceAll('\n', '\n  ')}` : '';
  } catch (error) {
    return `; its log can't be read: ${messageOf(error)}`;
  }
}

/**
 * Waits until an instance that is out of the list answers nothing any more: no old worker of Nginx begins a request,
 * and its own count of requests is 0 three times in a row.
 */
async function drain(config: Config, service: string): Promise<void> {
  await pause(OLD_WORKERS_SECONDS);
  const count = `curl -fsS -m 3 http://${service}:3000/api/v1/metrics |
    awk '/^http_requests_in_flight[ {]/ { all += $NF; found = 1 } END { if (found) print all }'`;
  const look = `n=0; for i in $(seq ${DRAIN_SECONDS * 2}); do
    c=$(${count}); [ "$c" = 0 ] && n=$((n+1)) || n=0
    [ $n = 3 ] && exit 0; sleep 0.5
  done; exit 1`;
  try {
    await inNginx(config, look, `drain ${service}`, undefined, DRAIN_SECONDS * 2);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    log.warn(
      `${service} still answers requests after ${DRAIN_SECONDS} s, or does not count them; it is stopped now`,
    );
  }
}

async function pause(seconds: number): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, seconds * 1000));
  throwIfSignalled();
}

/** @returns an image as people recognise it: `backend:1.2.0`, `backend@sha256:0123456789ab` */
export function shortName(reference: string): string {
  return reference.replace(/^.*\//, '').replace(/(sha256:[0-9a-f]{12})[0-9a-f]+/, '$1');
}
