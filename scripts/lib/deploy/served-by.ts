import type { Config, Images } from '../config/config.ts';
import { inspect } from '../docker/containers.ts';
import type { Visit } from '../nginx/access-log.ts';
import { upstreamOf } from '../nginx/upstreams.ts';
import { runs } from './instance.ts';

/**
 * Tells by the address of the instance which release has answered a request. Docker gives the address of a removed container
 * to the next one, so a container's requests are those since its start; of the instances that are gone, all ran the old release.
 *
 * @param services all instances that may serve now
 * @returns the requests of both releases, without those of an upstream whose image is the same in both
 */
export async function byRelease(
  config: Config,
  services: string[],
  images: Images,
  previous: Images,
  visits: Visit[],
): Promise<{ old: Visit[]; fresh: Visit[] }> {
  const known = new Map<string, { since: number; release: 'old' | 'new' | 'same' }>();
  for (const service of services) {
    const container = await inspect(config, service);
    if (!container) continue;
    const upstream = upstreamOf(service);
    const changes = images[upstream] !== previous[upstream];
    const release = !changes ? 'same' : (await runs(config, service, images)) ? 'new' : 'old';
    const since = Math.floor(container.startedAt.getTime() / 1000);
    for (const address of Object.values(container.addresses)) known.set(address, { since, release });
  }
  const old: Visit[] = [];
  const fresh: Visit[] = [];
  for (const visit of visits) {
    const instance = known.get(visit.address);
    const release = instance && visit.time >= instance.since ? instance.release : 'old';
    if (release !== 'same') (release === 'new' ? fresh : old).push(visit);
  }
  return { old, fresh };
}
