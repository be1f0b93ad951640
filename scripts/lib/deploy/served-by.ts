/** Which release has answered a request. */
import type { Config, Images } from '../config/config.ts';
import { inspect } from '../docker/containers.ts';
import type { Visit } from '../nginx/access-log.ts';
import { upstreamOf } from '../nginx/upstreams.ts';
import { runs } from './instance.ts';

/** A container behind Nginx. Docker gives the address of a removed one to the next, so it counts from its start. */
export interface Instance {
  address: string;
  /** When it started, in whole seconds since 1970. */
  since: number;
  /** `same`: the image is the same in both releases. */
  release: 'old' | 'new' | 'same' | 'other';
}

/**
 * @param services all instances that may serve now
 * @returns those that exist now
 * @throws CommandError when Docker can't tell
 */
export async function instancesOf(
  config: Config,
  services: string[],
  images: Images,
  previous: Images,
): Promise<Instance[]> {
  const found: Instance[] = [];
  for (const service of services) {
    const container = await inspect(config, service);
    if (!container) continue;
    const upstream = upstreamOf(service);
    const release =
      images[upstream] === previous[upstream]
        ? 'same'
        : (await runs(config, service, images))
          ? 'new'
          : (await runs(config, service, previous))
            ? 'old'
            : 'other';
    const since = Math.floor(container.startedAt.getTime() / 1000);
    for (const address of Object.values(container.addresses)) found.push({ address, since, release });
  }
  return found;
}

/**
 * @param instances all that are known; of those with one address, the last that had started answered
 * @returns the requests of both releases. What an unknown instance has answered is no one's: it may have run a release that was
 *   taken back minutes ago
 */
export function byRelease(instances: Instance[], visits: Visit[]): { old: Visit[]; fresh: Visit[] } {
  const known = Map.groupBy(
    instances.toSorted((a, b) => b.since - a.since),
    ({ address }) => address,
  );
  const by = (release: Instance['release']) =>
    visits.filter(
      ({ address, time }) => known.get(address)?.find(({ since }) => time >= since)?.release === release,
    );
  return { old: by('old'), fresh: by('new') };
}
