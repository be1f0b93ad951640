/** Newer patch versions of the images that the Compose file pins. Only asks the registry; nothing is pulled. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, ROOT } from '../config/config.ts';
import { plural } from '../core/format.ts';
import { CommandError, hasProgram, sh } from '../core/shell.ts';
import { repositoryOf, versionOf } from '../docker/images.ts';
import { digestOf } from '../docker/registry.ts';
import { NotConfigured } from '../health/check.ts';
import type { Task } from './tasks.ts';

/** Numbers that a project may leave out. */
const GAP = 2;
/** Numbers that are asked for at most, of one image. */
const MOST = 20;

export const imageUpdates = (config: Config): Task => ({
  name: 'images',
  async look() {
    if (!hasProgram('docker')) throw new NotConfigured('there is no docker on PATH');
    const pinned = pinnedImages(config);
    const notes: string[] = [];
    for (const image of pinned) {
      const newest = await newestPatch(image, digestOf);
      if (newest) notes.push(`${image}: ${versionOf(newest)} is there`);
      else if (await wasRebuilt(image))
        notes.push(`${image} was built again since it was pulled, for packages in it: docker pull ${image}`);
    }
    const found = notes.length === 0 ? 'nothing newer' : `${notes.length} with something newer`;
    return { found: `${plural(pinned.length, 'pinned image')}: ${found}`, notes };
  },
});

/** @returns the images that the Compose file and the Dockerfile name themselves, and certbot’s; not the product’s */
export function pinnedImages({ environment, acme }: Pick<Config, 'environment' | 'acme'>): string[] {
  const read = (name: string, line: RegExp) => {
    const path = join(ROOT, name);
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    return [...text.matchAll(line)].map(([, image]) => image!);
  };
  return [
    ...new Set([
      ...read(`docker-compose.${environment}.yml`, /^ +image: ([^$\s]+)$/gm),
      ...read('Dockerfile', /^FROM (\S+:\S+)/gm),
      acme.image,
    ]),
  ];
}

/**
 * Asks for the next patch numbers, one after the other: registries can't be asked for what is newer.
 *
 * @param ask which digest a name means; undefined: there is no such image
 * @returns the name with the highest patch number that the registry has; undefined: none is higher, or the tag has none
 */
export async function newestPatch(
  image: string,
  ask: (reference: string) => Promise<string | undefined>,
): Promise<string | undefined> {
  // 1.30.6-trixie, v5.6.0, 15.20: the last number before the variant. PostgreSQL’s second one is its patch.
  const [, head, patch, variant] = /^(v?(?:\d+\.)+)(\d+)(-[a-z].*)?$/.exec(versionOf(image)) ?? [];
  if (patch === undefined) return undefined;
  let newest: string | undefined;
  for (
    let number = Number(patch) + 1, missing = 0;
    missing < GAP && number <= Number(patch) + MOST;
    number++
  ) {
    const reference = `${repositoryOf(image)}:${head}${number}${variant ?? ''}`;
    if ((await ask(reference)) === undefined) missing++;
    else [newest, missing] = [reference, 0];
  }
  return newest;
}

/** @returns whether the registry has another image of this name than this machine */
async function wasRebuilt(image: string): Promise<boolean> {
  try {
    const list = await sh(
      `find the digest of ${image}`,
    )`docker image inspect --format ${'{{json .RepoDigests}}'} ${image}`;
    const digests = ((JSON.parse(list) ?? []) as string[]).map(each => each.split('@')[1]);
    const there = await digestOf(image);
    return there !== undefined && digests.length > 0 && !digests.includes(there);
  } catch (error) {
    if (error instanceof CommandError && /no such image/i.test(error.stderr)) return false;
    throw error;
  }
}
