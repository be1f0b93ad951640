import type { Config, Images } from '../config/config.ts';
import { CommandError } from '../core/shell.ts';
import { inspect } from '../docker/containers.ts';
import { imageId } from '../docker/images.ts';
import { imageOf, LOOKS, looksReady } from './instance.ts';

/** Looks at instances. @returns what is wrong with one of them, or undefined */
export type Guard = () => Promise<string | undefined>;

/**
 * @returns a guard over those of `services` that run the new images. An end, a restart, and Docker's `unhealthy`, which is
 *   several failed checks already, count at once; not being ready counts when several looks find it
 * @throws CommandError when Docker can't tell
 */
export async function guardOver(config: Config, services: string[], images: Images): Promise<Guard> {
  const guarded = new Map<string, { startedAt: number; unready: number }>();
  for (const service of services) {
    const container = await inspect(config, service);
    if (container && container.imageId === (await imageId(imageOf(images, service))))
      guarded.set(service, { startedAt: container.startedAt.getTime(), unready: 0 });
  }
  return async () => {
    for (const [service, seen] of guarded) {
      const container = await inspect(config, service);
      if (!container && service.endsWith('frontend-2')) continue; // removed when it is needed no longer
      if (container?.state !== 'running') return `${service} has ended`;
      // The deployment has made the container, so its first restart is one too many, whenever it was.
      if (container.restarts > 0 || container.startedAt.getTime() !== seen.startedAt)
        return `${service} has restarted`;
      if (container.health === 'unhealthy')
        return `${service} is unhealthy${container.healthOutput ? `: ${container.healthOutput}` : ''}`;
      seen.unready = (await ready(config, service)) ? 0 : seen.unready + 1;
      if (seen.unready === LOOKS) return `${service} is not ready, ${LOOKS} times in a row`;
    }
    return undefined;
  };
}

/** A look that fails by itself, as on a machine that is too busy to run it, says nothing against the instance. */
async function ready(config: Config, service: string): Promise<boolean> {
  try {
    return await looksReady(config, service);
  } catch (error) {
    if (error instanceof CommandError) return true;
    throw error;
  }
}
