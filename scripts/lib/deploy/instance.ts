/** One container behind Nginx, `backend-3` or `frontend`: whether it is ready, and how it is started and replaced. */
import type { Config, Images } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { CommandError, sh } from '../core/shell.ts';
import { sleep, throwIfSignalled } from '../core/signals.ts';
import { composeUp, removeServices } from '../docker/compose.ts';
import { containerOf, inspect } from '../docker/containers.ts';
import { imageId, pull } from '../docker/images.ts';
import { inNginx } from '../nginx/reload.ts';
import { upstreamOf } from '../nginx/upstreams.ts';

/** @returns the address that answers 200 when the instance can take requests, as the application contract has it */
export function readyUrl({ contract: { ports, readyPath } }: Config, service: string): string {
  const upstream = upstreamOf(service);
  return `http://${service}:${ports[upstream]}${upstream === 'backend' ? readyPath : '/'}`;
}

/** @returns the image of a pair that a service runs */
export const imageOf = (images: Images, service: string): string => images[upstreamOf(service)];

/** @returns whether the service's container is running the image that this name means on this machine now */
export async function runs(config: Config, service: string, images: Images): Promise<boolean> {
  const container = await inspect(config, service);
  return container?.state === 'running' && container.imageId === (await imageId(imageOf(images, service)));
}

/** One good answer may come before the instance fails under requests. */
const GOOD_ANSWERS = 3;
/** Seconds. */
const ANSWER_TIMEOUT = 3;
const PAUSE = 0.3;
/** Looks in a row that must find an instance not ready: one may come at a bad moment. */
export const LOOKS = 3;

/**
 * @returns whether an instance is running and ready at one look, as Nginx sees it
 * @throws CommandError when Docker or Nginx's container can't tell
 */
export async function looksReady(config: Config, service: string): Promise<boolean> {
  return (
    (await inspect(config, service))?.state === 'running' && (await problem(config, service, 5)) === undefined
  );
}

/**
 * @returns whether an instance is running and, at one of three looks in a row, ready
 * @throws as {@link looksReady}
 */
export async function isReady(config: Config, service: string): Promise<boolean> {
  for (let look = 1; ; look++) {
    if (await looksReady(config, service)) return true;
    if (look === LOOKS || (await inspect(config, service))?.state !== 'running') return false;
    await sleep(PAUSE);
  }
}

/** Could not resolve, could not connect, 4xx or 5xx, timeout, empty reply, reset: https://curl.se/docs/manpage.html#EXIT */
const CURL_HAS_NO_ANSWER = [6, 7, 22, 28, 52, 56];

/** @returns why an instance is not ready: `/health/ready answers 404`; undefined: it is */
async function problem(config: Config, service: string, seconds: number): Promise<string | undefined> {
  const ask = `curl -fsS -m ${seconds.toFixed(1)} -o /dev/null ${readyUrl(config, service)}`;
  try {
    await inNginx(config, ask, `ask ${service}`);
    return undefined;
  } catch (error) {
    if (!(error instanceof CommandError) || !CURL_HAS_NO_ANSWER.includes(error.status ?? 0)) throw error;
    const status = /returned error: (\d{3})/.exec(error.stderr)?.[1];
    return `${readyUrl(config, service).replace(/^http:\/\/[^/]*/, '')} ${status ? `answers ${status}` : 'does not answer'}`;
  }
}

/**
 * Waits until an instance has been ready three times in a row.
 *
 * @throws OperationalError with its last log lines when it is not by DEPLOY_READY_TIMEOUT, or at once when it has ended
 */
export async function untilReady(config: Config, service: string): Promise<void> {
  const { readyTimeout } = config.deploy;
  const began = performance.now();
  let why: string | undefined;
  for (let good = 0; ; ) {
    throwIfSignalled();
    const container = await inspect(config, service);
    if (container?.state !== 'running' || container.restarts > 0)
      throw await notReady(config, service, 'ended soon after its start');
    const left = readyTimeout - (performance.now() - began) / 1000;
    if (left <= 0) {
      const because = why ? `: ${why}` : '';
      throw await notReady(config, service, `is not ready after ${readyTimeout} s${because}`);
    }
    try {
      const seconds = Math.min(ANSWER_TIMEOUT, Math.max(left, 0.1));
      const found = await problem(config, service, seconds);
      good = found === undefined ? good + 1 : 0;
      // The end of the time can cut the last look short, and then it is no news that no answer came.
      if (seconds === ANSWER_TIMEOUT || found === undefined || why === undefined) why = found;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      good = 0;
    }
    if (good === GOOD_ANSWERS) return;
    await sleep(Math.min(PAUSE, Math.max(left, 0)));
  }
}

/**
 * Waits until Docker's health check of an instance that is ready has passed once. Without a health check there is nothing to
 * wait for.
 *
 * @throws OperationalError when it has not passed by DEPLOY_READY_TIMEOUT, or at once when it has failed for good
 */
export async function untilHealthy(config: Config, service: string): Promise<void> {
  const { readyTimeout } = config.deploy;
  const began = performance.now();
  for (;;) {
    throwIfSignalled();
    const container = await inspect(config, service);
    if (container?.state !== 'running' || container.restarts > 0)
      throw await notReady(config, service, 'ended soon after its start');
    const { health, healthOutput } = container;
    if (health === undefined || health === 'healthy') return;
    const why = healthOutput ? `: ${healthOutput}` : '';
    if (health === 'unhealthy') throw await notReady(config, service, `is unhealthy${why}`);
    const left = readyTimeout - (performance.now() - began) / 1000;
    if (left <= 0)
      throw await notReady(config, service, `has not passed its health check after ${readyTimeout} s${why}`);
    await sleep(Math.min(PAUSE, left));
  }
}

async function notReady(config: Config, service: string, how: string): Promise<OperationalError> {
  return new OperationalError(
    `${service} ${how}${await lastLogLines(config, service)}`,
    `docker logs ${containerOf(config, service)} shows more, until the container is removed.`,
  );
}

async function lastLogLines(config: Config, service: string): Promise<string> {
  try {
    const logs = await sh('read the log')`docker logs --tail 3 ${containerOf(config, service)} 2>&1`;
    const text = logs.trim();
    return text ? `; last log lines:\n  ${text.replaceAll('\n', '\n  ')}` : '';
  } catch (error) {
    return `; its log can't be read: ${messageOf(error)}`;
  }
}

/**
 * Starts one more instance and waits until it is ready. It is not in Nginx's list yet.
 *
 * @throws OperationalError when its image can't be had (nothing is removed then), and like {@link untilReady}
 */
export async function addInstance(config: Config, service: string, images?: Images): Promise<void> {
  const wanted = images ?? config.images;
  if (wanted) await pull(imageOf(wanted, service));
  if (wanted && (await inspect(config, service)) && !(await runs(config, service, wanted)))
    await removeServices(config, service); // of a run that was killed
  await start(config, service, images, wanted);
  await untilReady(config, service);
  log.done(`${service} is ready`);
}

/**
 * Stops an instance and starts it with other images. It may not be ready yet: see {@link untilReady}.
 *
 * @throws OperationalError when its image can't be had: the instance still runs then
 */
export async function replace(config: Config, service: string, images: Images): Promise<void> {
  await pull(imageOf(images, service)); // `docker image prune` may have deleted it since the deployment began
  await removeServices(config, service);
  await start(config, service, images, images);
}

/** Starts a service. An image that was deleted while its instance was stopped is pulled once more. */
async function start(
  config: Config,
  service: string,
  images: Images | undefined,
  wanted: Images | undefined,
): Promise<void> {
  try {
    await composeUp(config, service, images);
  } catch (error) {
    const image = wanted && imageOf(wanted, service);
    if (!(error instanceof CommandError) || !image || (await imageId(image))) throw error;
    await pull(image);
    await composeUp(config, service, images);
  }
}
