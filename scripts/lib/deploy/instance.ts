/** One container behind Nginx, `backend-3` or `frontend`: whether it serves, and how it comes and goes. */
import type { Config, Images } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { CommandError, run } from '../core/shell.ts';
import { sleep, throwIfSignalled } from '../core/signals.ts';
import { compose, containerOf, imageId, inspect } from '../docker/containers.ts';
import { inNginx, nginxTimes } from '../nginx/reload.ts';
import { upstreamOf } from '../nginx/upstreams.ts';

/** What the application contract promises to answer with 200 as soon as the instance can take requests. */
const readyUrl = (service: string) =>
  upstreamOf(service) === 'backend' ? `http://${service}:3000/api/v1/health/ready` : `http://${service}:80/`;

/** @returns of a pair of images, the one that a service runs */
export const imageOf = (images: Images, service: string) => images[upstreamOf(service)];

/** @returns whether the service's container runs, and runs what its image's name means on this machine now */
export async function runs(config: Config, service: string, images: Images): Promise<boolean> {
  const container = await inspect(config, service);
  return container?.state === 'running' && container.imageId === (await imageId(imageOf(images, service)));
}

/** @returns whether an instance runs and is ready at this moment, as Nginx sees it */
export async function isFit(config: Config, service: string): Promise<boolean> {
  if ((await inspect(config, service))?.state !== 'running') return false;
  try {
    await inNginx(config, `curl -fsS -m 5 -o /dev/null ${readyUrl(service)}`, `ask ${service}`);
    return true;
  } catch (error) {
    if (error instanceof CommandError && CURL_HAS_NO_ANSWER.includes(error.status ?? 0)) return false;
    throw error; // whether it is ready, nobody has said
  }
}

/** No name, no connection, 4xx and 5xx, too late, nothing, cut off: as curl's manual numbers them. */
const CURL_HAS_NO_ANSWER = [6, 7, 22, 28, 52, 56];

/** Waits until an instance is ready in three looks in a row; gives up at once on one that ends. */
export async function untilReady(config: Config, service: string): Promise<void> {
  const deadline = Date.now() + config.deploy.readyTimeout * 1000;
  const look = `n=0; for i in 1 2 3 4 5 6; do
    if curl -fsS -m 3 -o /dev/null ${readyUrl(service)}; then n=$((n+1)); [ $n = 3 ] && exit 0; else n=0; fi
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

const UP = ['up', '--detach', '--no-deps', '--no-build', '--pull', 'never', '--no-recreate'];

/** Starts one more instance and waits until it is ready. Nginx does not know of it yet. */
export async function addInstance(config: Config, service: string, images?: Images): Promise<void> {
  const wanted = images ?? config.images;
  if (wanted && (await inspect(config, service)) && !(await runs(config, service, wanted)))
    await remove(config, service); // of a run that was killed
  await compose(config, [...UP, service], { purpose: `start ${service}`, ...(images ? { images } : {}) });
  await untilReady(config, service);
  log.done(`${service} is ready`);
}

/** Stops an instance and starts it with other images; whether it is ready is {@link untilReady}'s business. */
export async function replace(config: Config, service: string, images: Images): Promise<void> {
  await remove(config, service);
  await compose(config, [...UP, service], { purpose: `start ${service}`, images });
}

/** Their stop signal, their grace period, all at once, then they are gone. */
export async function remove(config: Config, ...services: string[]): Promise<void> {
  await compose(config, ['rm', '--stop', '--force', ...services], { purpose: `stop ${services.join(', ')}` });
}

/**
 * Waits until instances that are out of the list answer nothing any more: no old worker of Nginx begins a request, and
 * their own count of requests is 0 three times in a row. One that has not come to that when every request of its must
 * have ended is a warning: it may be that it does not count them.
 */
export async function drain(config: Config, ...services: string[]): Promise<void> {
  await untilOldWorkersAreDone();
  await Promise.all(services.map(service => untilIdle(config, service)));
}

/** Seconds that requests have to end in, beyond the longest that Nginx waits for an answer. */
const SPARE_SECONDS = 5;
/** Seconds of one look at the count, and of the way into Nginx's container and back. */
const LOOK_SECONDS = 3;
const EXEC_SECONDS = 30;

async function untilIdle(config: Config, service: string): Promise<void> {
  const seconds = nginxTimes().answer + SPARE_SECONDS;
  const count = `curl -fsS -m ${LOOK_SECONDS} http://${service}:3000/api/v1/metrics |
    awk '/^http_requests_in_flight[ {]/ { all += $NF; found = 1 } END { if (found) print all }'`;
  // By the clock, not by turns: a count that nobody answers takes as long as curl waits for it.
  const look = `n=0; end=$(($(date +%s) + ${Math.ceil(seconds)})); while [ "$(date +%s)" -lt "$end" ]; do
    c=$(${count}); [ "$c" = 0 ] && n=$((n+1)) || n=0
    [ $n = 3 ] && exit 0; sleep 0.5
  done; exit 1`;
  try {
    await inNginx(config, look, `drain ${service}`, undefined, seconds + LOOK_SECONDS + EXEC_SECONDS);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    log.warn(
      `${service} still answers requests after ${seconds} s, or does not count them; it is stopped now`,
    );
  }
}

/**
 * Waits until Nginx sends nothing any more by the list before this one.
 *
 * @param since when this one was loaded, by `performance.now()`
 */
export async function untilOldWorkersAreDone(since = performance.now()): Promise<void> {
  const { oldWorkers } = nginxTimes();
  // A fifth more, for requests on their way at the last moment.
  const left = oldWorkers * 1.2 - (performance.now() - since) / 1000;
  if (left > 0) await sleep(left);
  throwIfSignalled();
}
