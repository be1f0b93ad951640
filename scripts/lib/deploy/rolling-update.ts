import type { Config, Images } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { throwIfSignalled } from '../core/signals.ts';
import { containerOf, inspect } from '../docker/containers.ts';
import { shortName } from '../docker/images.ts';
import { lineFor, type ServerLine, serviceOf, servingLine, setUpstream } from '../nginx/upstreams.ts';
import { drain, isFit, remove, replace, runs, untilOldWorkersAreDone, untilReady } from './instance.ts';

/**
 * Makes every instance of `wanted` run the backend's image, one after the other, without losing a request: each is
 * out of Nginx's list, and has answered what it was asked, before it is replaced, and is back in it when it is ready.
 * It compares and converges, so it can be begun again after it was killed at any point, and towards either release.
 *
 * @param wanted the list in the end
 * @throws when an instance does not become ready; it is then out of the list, and those in it serve
 */
export async function rollBackends(config: Config, images: Images, wanted: ServerLine[]): Promise<void> {
  const fit = new Set<ServerLine>();
  const todo: ServerLine[] = [];
  for (const line of wanted) {
    const service = serviceOf(line);
    if (await isFit(config, service)) fit.add(line);
    if (!fit.has(line) || !(await runs(config, service, images))) todo.push(line);
  }
  for (const count = todo.length; todo.length > 0; ) {
    throwIfSignalled();
    // Those that don't serve anyway come first: every one replaced is then one more to rely on.
    todo.sort((a, b) => Number(fit.has(a)) - Number(fit.has(b)));
    const line = todo[0]!;
    const service = serviceOf(line);
    const others = wanted.filter(other => other !== line && fit.has(other));
    if (others.length === 0 && fit.has(line)) {
      throw new OperationalError(
        `${service} is the only instance that serves`,
        'start another one first: scale.ts 2, or deploy with --surge.',
      );
    }
    log.info(`${service} (${count - todo.length + 1} of ${count})`);
    if (fit.has(line)) {
      const failed = await drainOnto(config, others, line);
      for (const each of failed) fit.delete(each);
      refuseFailed(config, failed, todo, service);
      if (failed.length > 0) continue; // they are replaced first
    } else if (others.length > 0) await setUpstream(config, 'backend', others);
    todo.shift();
    fit.delete(line);
    await replace(config, service, images);
    await untilReady(config, service);
    fit.add(line);
    log.done(`${service} serves ${shortName(images.backend)}`);
  }
  throwIfSignalled();
  await setUpstream(config, 'backend', wanted);
}

/**
 * Gives all requests to `others` until `spare` has answered its own.
 *
 * @returns those of `others` that failed meanwhile; the list is then of the rest, and of `spare`
 */
async function drainOnto(config: Config, others: ServerLine[], spare: ServerLine): Promise<ServerLine[]> {
  const restarts = async (line: ServerLine) => (await inspect(config, serviceOf(line)))?.restarts;
  // Before they have its requests: one may fail at the first of them.
  const before = new Map<ServerLine, number | undefined>();
  for (const line of others) before.set(line, await restarts(line));
  await setUpstream(config, 'backend', others);
  await drain(config, serviceOf(spare));
  const failed: ServerLine[] = [];
  for (const line of others) {
    const ended = (await restarts(line)) !== before.get(line);
    if (ended || !(await isFit(config, serviceOf(line)))) failed.push(line);
  }
  if (failed.length > 0)
    await setUpstream(config, 'backend', [...others.filter(line => !failed.includes(line)), spare]);
  return failed;
}

/**
 * @param todo those that are still to be replaced: when one of them fails, that is what it is replaced for
 * @throws when one has failed that was replaced already
 */
function refuseFailed(config: Config, failed: ServerLine[], todo: ServerLine[], drained: string): void {
  const names = (lines: ServerLine[]) => lines.map(serviceOf).join(', ');
  const replaced = failed.filter(line => !todo.includes(line));
  if (replaced.length > 0) {
    throw new OperationalError(
      `${names(replaced)} failed while ${drained} was drained; ${drained} was not replaced`,
      `docker logs ${containerOf(config, serviceOf(replaced[0]!))} says why, as long as it is there.`,
    );
  }
  if (failed.length > 0) log.warn(`${names(failed)} failed while ${drained} was drained: replaced first`);
}

/**
 * The same for the frontend, which has one instance: a second one takes over while the first is replaced. It still runs
 * in the end, for requests on their way; {@link removeStandIn} takes it away.
 *
 * @returns when Nginx had loaded the last list, by `performance.now()`
 */
export async function rollFrontend(config: Config, images: Images): Promise<number> {
  const serving = await servingLine('frontend');
  const only = (service: string) => [lineFor(service, serving)];
  if (!(await runs(config, 'frontend', images))) {
    throwIfSignalled();
    log.info('frontend');
    // One that a killed run has left is what visitors see, of whichever release: it stays until the other one is ready.
    const standsIn = serviceOf(serving) === 'frontend-2' && (await isFit(config, 'frontend-2'));
    if (!standsIn) {
      await replace(config, 'frontend-2', images);
      await untilReady(config, 'frontend-2');
    }
    await setUpstream(config, 'frontend', only('frontend-2'));
    await untilOldWorkersAreDone();
    await replace(config, 'frontend', images);
    log.done(`frontend runs ${shortName(images.frontend)}`);
  }
  await untilReady(config, 'frontend');
  await setUpstream(config, 'frontend', only('frontend'));
  return performance.now();
}

/** Stops the frontend's stand-in, which is in the list no more `since` then, when Nginx sends it nothing any more. */
export async function removeStandIn(config: Config, since: number): Promise<void> {
  if (!(await inspect(config, 'frontend-2'))) return;
  await untilOldWorkersAreDone(since);
  await remove(config, 'frontend-2');
}

/** Gives requests to the backends of `wanted`, and stops these others for good when theirs have ended. */
export async function retire(config: Config, wanted: ServerLine[], services: string[]): Promise<void> {
  await setUpstream(config, 'backend', wanted);
  if (services.length === 0) return;
  const fit: string[] = [];
  for (const service of services) if (await isFit(config, service)) fit.push(service);
  if (fit.length > 0) await drain(config, ...fit);
  await remove(config, ...services);
  for (const service of services) log.done(`${service} is stopped`);
}
