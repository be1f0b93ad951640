/** How many instances there may be. */
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { bytes } from '../core/format.ts';
import { readMemory } from '../core/machine.ts';
import { inspect } from '../docker/containers.ts';
import { serviceOf, servingLine, upstreamOf } from '../nginx/upstreams.ts';

/** @returns the first free instances of backend-1 … 8 */
export function nextBackends(used: string[], count: number): string[] {
  const free = Array.from({ length: 8 }, (_, i) => `backend-${i + 1}`).filter(name => !used.includes(name));
  if (free.length < count) {
    throw new OperationalError('there are eight instances at most', 'the Compose file defines no more.');
  }
  return free.slice(0, count);
}

/** @throws when this machine can't hold these instances as well; each may take as much as its like that serves */
export async function roomInMemory(config: Config, more: string[]): Promise<void> {
  let needed = 0;
  for (const service of more) {
    const like = await servingLine(upstreamOf(service));
    needed += (await inspect(config, serviceOf(like)))?.memory ?? 0;
  }
  const { available } = await readMemory();
  if (available >= needed) return;
  throw new OperationalError(
    `${bytes(available)} of memory are available, and ${more.join(', ')} may take ${bytes(needed)}`,
    'run fewer instances, or give the server more memory.',
  );
}
