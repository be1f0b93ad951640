import type { Config, Images } from './config.ts';
import { OperationalError } from './errors.ts';
import { shortName } from './images.ts';
import { drain, isFit, remove, replace, runs, untilOldWorkersAreDone, untilReady } from './instance.ts';
import { throwIfSignalled } from './interrupt.ts';
import { log } from './log.ts';
import { containerOf, inspect } from './stack.ts';
import { lineFor, type ServerLine, serviceOf, servingLine, setUpstream } from './upstreams.ts';

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
  // Those that don't serve anyway come first: every one replaced is then one more to lean on.
  todo.sort((a, b) => Number(fit.has(a)) - Number(fit.has(b)));
  for (const [turn, line] of todo.entries()) {
    throwIfSignalled();
    const service = serviceOf(line);
    const others = wanted.filter(other => other !== line && fit.has(other));
    if (others.length === 0 && fit.has(line)) {
      throw new OperationalError(
        `${service} is the only instance that serves`,
        'start another one first: scale.ts 2, or deploy with --surge.',
      );
    }
    log.info(`${service} (${turn + 1} of ${todo.length})`);
    if (fit.has(line)) await drainOnto(config, others, line);
    else if (others.length > 0) await setUpstream(config, 'backend', others);
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
 * Gives all requests to `others` until `spare` has answered its own, and looks whether they have stood it.
 *
 * @throws when one has not; the list is then of those that have, and of `spare`, which nobody has touched
 */
async function drainOnto(config: Config, others: ServerLine[], spare: ServerLine): Promise<void> {
  const restarts = async (line: ServerLine) => (await inspect(config, serviceOf(line)))?.restarts;
  // Before they have its requests: one may fail at the first of them.
  const before = new Map<ServerLine, number | undefined>();
  for (const line of others) before.set(line, await restarts(line));
  await setUpstream(config, 'backend', others);
  await drain(config, serviceOf(spare));
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
