import type { Config, Images } from '../config/config.ts';
import { Exit, OperationalError } from '../core/errors.ts';
import { pullBoth, shortName } from '../docker/images.ts';
import { testNginx } from '../nginx/reload.ts';
import { lineFor, serviceOf } from '../nginx/upstreams.ts';
import { addInstance, imageOf, isReady, runs, untilHealthy } from './instance.ts';
import type { Progress } from './journal.ts';
import { retire, rollBackends, rollFrontend, type Trial } from './rolling-update.ts';

/**
 * Makes every backend, then the frontend, run one pair of images.
 *
 * @returns when Nginx loaded the last list, by `performance.now()`: see {@link removeTemporaryFrontend}
 * @throws OperationalError when an image can't be had (nothing is replaced then), an instance does not become ready or, with
 *   exit code 3, does not run its image
 */
export async function rollAll(
  config: Config,
  { servers, surge }: Pick<Progress, 'servers' | 'surge'>,
  images: Images,
  trial?: Trial,
): Promise<number> {
  await testNginx(config);
  await pullBoth(images);
  const extra = surge ? [lineFor(surge, servers[0]!)] : [];
  // One that serves, of a killed run, is drained like the others if it has another image.
  if (surge && !(await isReady(config, surge))) {
    await addInstance(config, surge, images);
    if (trial) await untilHealthy(config, surge);
  }
  await rollBackends(config, images, [...extra, ...servers], trial);
  const since = await rollFrontend(config, images, trial);
  if (surge) await retire(config, servers, [surge]);
  const services = [...servers.map(serviceOf), 'frontend'];
  const good = await Promise.all(services.map(service => runs(config, service, images)));
  for (const [index, service] of services.entries()) {
    if (good[index]) continue;
    throw new OperationalError(
      `${service} does not run ${shortName(imageOf(images, service))}`,
      'something else has changed it: `docker ps -a` shows its container.',
      Exit.verification,
    );
  }
  return since;
}
