import type { Config, Images } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { throwIfSignalled } from '../core/signals.ts';
import { removeServices } from '../docker/compose.ts';
import { containerOf, inspect } from '../docker/containers.ts';
import { shortName } from '../docker/images.ts';
import { lineFor, type ServerLine, serviceOf, servingLine, setUpstream } from '../nginx/upstreams.ts';
import { drain, untilOldWorkersAreDone } from './drain.ts';
import { isReady, LOOKS, looksReady, replace, runs, untilHealthy, untilReady } from './instance.ts';

/** How a new release is judged while it is rolled out; a release that is gone back to is not. */
export interface Trial {
  /** Called once, while instances of both releases get requests. @throws to end the rolling update */
  compare: () => Promise<void>;
}

/** @throws OperationalError when the instance does not become ready or, in a trial, healthy */
async function untilUp(config: Config, service: string, trial: Trial | undefined): Promise<void> {
  await untilReady(config, service);
  if (trial) await untilHealthy(config, service);
}

/**
 * Makes every instance of `wanted` run the backend's image, one after the other, without losing a request: each leaves
 * Nginx's list and finishes its requests before it is replaced, and comes back when it is ready. It compares what runs with
 * what should, so it can be repeated after a kill at any point, forwards or backwards.
 *
 * @param wanted the list in the end
 * @param trial for a new release: with two instances or more, it is compared with the old one when the first is replaced
 * @param isCurrent tells whether an instance needs no replacement. Default: it runs its image
 * @throws OperationalError when an instance does not become ready (it is then out of the list), when one fails that was
 *   replaced already, or when the only one that serves would have to be replaced
 */
export async function rollBackends(
  config: Config,
  images: Images,
  wanted: ServerLine[],
  trial?: Trial,
  isCurrent = (service: string) => runs(config, service, images),
): Promise<void> {
  let compared = trial === undefined;
  const ready = await readyOf(config, wanted);
  const current = await Promise.all(wanted.map(line => isCurrent(serviceOf(line))));
  const todo = wanted.filter((line, index) => !ready.has(line) || !current[index]);
  for (const count = todo.length; todo.length > 0; ) {
    throwIfSignalled();
    // Instances that are not ready come first: each that is replaced is one more that serves.
    todo.sort((a, b) => Number(ready.has(a)) - Number(ready.has(b)));
    const serving = wanted.filter(each => ready.has(each));
    if (!compared && todo.some(each => ready.has(each)) && serving.some(each => !todo.includes(each))) {
      compared = true;
      await setUpstream(config, 'backend', serving);
      await trial!.compare();
    }
    const line = todo[0]!;
    const service = serviceOf(line);
    const others = wanted.filter(other => other !== line && ready.has(other));
    if (others.length === 0 && ready.has(line)) {
      throw new OperationalError(
        `${service} is the only instance that serves`,
        'add the line of another one to nginx/upstreams/backend.conf, and run it again.',
      );
    }
    log.info(`${service} (${count - todo.length + 1} of ${count})`);
    if (ready.has(line)) {
      const failed = await drainOnto(config, others, line);
      for (const each of failed) ready.delete(each);
      refuseFailed(config, failed, todo, service);
      if (failed.length > 0) continue; // they are replaced first
    } else if (others.length > 0) await setUpstream(config, 'backend', others);
    todo.shift();
    ready.delete(line);
    await replace(config, service, images);
    await untilUp(config, service, trial);
    ready.add(line);
    log.done(`${service} serves ${shortName(images.backend)}`);
  }
  throwIfSignalled();
  await setUpstream(config, 'backend', wanted);
}

/**
 * The only instance can't be replaced without losing requests, and while a deployment is unfinished none can be added: so it is
 * found before one begins.
 *
 * @throws OperationalError when there is one instance, its image changes, and none is added
 */
export function refuseOnlyOne(servers: ServerLine[], from: Images, to: Images, surge: string | null): void {
  if (servers.length > 1 || from.backend === to.backend || surge) return;
  throw new OperationalError(
    `${servers.map(serviceOf).join()} is the only instance that serves`,
    'start another one first: ./scripts/scale.ts 2',
  );
}

/** @returns those of the servers that are ready now */
export async function readyOf(config: Config, servers: ServerLine[]): Promise<Set<ServerLine>> {
  const answers = await Promise.all(servers.map(line => isReady(config, serviceOf(line))));
  return new Set(servers.filter((_, index) => answers[index]));
}

/**
 * Sends all requests to `others` until `drained` has finished its own. If one of them looks as if it had failed, `drained`
 * gets requests again while it is looked at again; was it a bad moment, it is drained once more.
 *
 * @param tries after so many bad moments an instance has failed, too
 * @returns those of `others` that failed during that time; the list then has the rest, and `drained`
 */
async function drainOnto(
  config: Config,
  others: ServerLine[],
  drained: ServerLine,
  tries = LOOKS,
): Promise<ServerLine[]> {
  const restarts = () =>
    Promise.all(others.map(async line => (await inspect(config, serviceOf(line)))?.restarts));
  // Counted before they get its requests: one may fail at the first.
  const before = await restarts();
  await setUpstream(config, 'backend', others);
  await drain(config, serviceOf(drained));
  const after = await restarts();
  const looks = await Promise.all(others.map(line => looksReady(config, serviceOf(line))));
  const restarted = others.filter((_, index) => after[index] !== before[index]);
  const suspects = others.filter((line, index) => restarted.includes(line) || !looks[index]);
  if (suspects.length === 0) return [];
  await setUpstream(config, 'backend', [...others.filter(line => !suspects.includes(line)), drained]);
  const looked = tries > 1 ? suspects.filter(line => !restarted.includes(line)) : [];
  const recovered = await readyOf(config, looked);
  const failed = suspects.filter(line => !recovered.has(line));
  if (failed.length > 0) return failed;
  return drainOnto(config, others, drained, tries - 1);
}

/**
 * @param todo the instances that still run the other image: one that fails is replaced anyway
 * @throws OperationalError when one has failed that was replaced already
 */
function refuseFailed(config: Config, failed: ServerLine[], todo: ServerLine[], drained: string): void {
  const names = (lines: ServerLine[]) => lines.map(serviceOf).join(', ');
  const replaced = failed.filter(line => !todo.includes(line));
  if (replaced.length > 0) {
    throw new OperationalError(
      `${names(replaced)} failed while ${drained} was drained; ${drained} was not replaced`,
      `docker logs ${containerOf(config, serviceOf(replaced[0]!))} shows why, until the container is removed.`,
    );
  }
  if (failed.length > 0) log.warn(`${names(failed)} failed while ${drained} was drained: replaced first`);
}

/**
 * Makes the frontend run its image. It has one instance: a temporary second one, frontend-2, serves while it is replaced, and keeps
 * running for requests on their way; {@link removeTemporaryFrontend} stops it.
 *
 * @returns when Nginx loaded the last list, by `performance.now()`
 * @throws OperationalError when an instance does not become ready
 */
export async function rollFrontend(config: Config, images: Images, trial?: Trial): Promise<number> {
  const serving = servingLine('frontend');
  const only = (service: string) => [lineFor(service, serving)];
  if (!(await runs(config, 'frontend', images))) {
    throwIfSignalled();
    log.info('frontend');
    // One that a killed run has left may serve now, with either release: it stays until the other is ready.
    const serves = serviceOf(serving) === 'frontend-2' && (await isReady(config, 'frontend-2'));
    if (!serves) {
      await replace(config, 'frontend-2', images);
      await untilUp(config, 'frontend-2', trial);
    }
    await setUpstream(config, 'frontend', only('frontend-2'));
    await untilOldWorkersAreDone();
    await replace(config, 'frontend', images);
    await untilUp(config, 'frontend', trial);
    log.done(`frontend runs ${shortName(images.frontend)}`);
  }
  await untilReady(config, 'frontend');
  await setUpstream(config, 'frontend', only('frontend'));
  return performance.now();
}

/**
 * Stops the temporary frontend when Nginx's old workers no longer send it requests.
 *
 * @param since when Nginx loaded the list without it, by `performance.now()`
 */
export async function removeTemporaryFrontend(config: Config, since: number): Promise<void> {
  if (!(await inspect(config, 'frontend-2'))) return;
  await untilOldWorkersAreDone(since);
  await removeServices(config, 'frontend-2');
}

/** Sends requests to the backends of `wanted`, then drains and stops the other services. */
export async function retire(config: Config, wanted: ServerLine[], services: string[]): Promise<void> {
  await setUpstream(config, 'backend', wanted);
  if (services.length === 0) return;
  const answers = await Promise.all(services.map(service => isReady(config, service)));
  const ready = services.filter((_, index) => answers[index]);
  if (ready.length > 0) await drain(config, ...ready);
  await removeServices(config, ...services);
  for (const service of services) log.done(`${service} is stopped`);
}
