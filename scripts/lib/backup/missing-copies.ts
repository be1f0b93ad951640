/** Which backups miss their off-site copy. */
import type { Config } from '../config/config.ts';
import { parseStamp } from '../core/format.ts';
import type { StoredObject } from '../s3/store.ts';
import { type Backup, type Found, isVerified, newestFirst, sizeProblem, sizesOf } from './catalog.ts';
import { isOurs } from './manifest.ts';
import { type Dated, decide } from './retention.ts';

/** A backup in the store. */
export interface Copy extends Dated {
  id: string;
  /** Whether retention counts it. */
  isVerified: boolean;
  /** Whether its files are complete. Not that of a killed upload, and not a damaged one. */
  isWhole: boolean;
}

/**
 * Only backups that were meant to have a copy, and that retention in the store would not delete at once. One whose id has a
 * complete copy in the store of someone else, with another signature or of another database, does not count: it must not be replaced.
 *
 * @param days for which the store keeps backups
 * @returns the verified backups here without a copy, oldest data first
 */
export function missingCopies(
  { minKeep }: Pick<Config, 'minKeep'>,
  days: number,
  local: Found[],
  copies: Copy[],
): Backup[] {
  const there = new Set(copies.filter(({ isWhole }) => isWhole).map(({ id }) => id));
  const missing = newestFirst(local).filter(({ id, manifest }) => manifest.offsite && !there.has(id));
  const all = [...missing, ...copies.filter(each => each.isVerified)];
  const sorted = all.toSorted((a, b) => b.manifest.snapshotAt.localeCompare(a.manifest.snapshotAt));
  const kept = new Set<Dated>(
    decide<Dated>(sorted, days, minKeep)
      .filter(({ keep }) => keep)
      .map(({ backup }) => backup),
  );
  return missing.filter(backup => kept.has(backup)).reverse();
}

/** @returns the backups that were found in the store, as copies */
export function copiesOf(stored: Found[]): Copy[] {
  return stored.map(found => ({
    id: found.id,
    manifest: { snapshotAt: found.manifest?.snapshotAt ?? '' },
    isVerified: isVerified(found),
    isWhole: found.isWhole === true,
  }));
}

/** @returns the copies in a list of objects, without reading one: complete is what has the sizes of the local backup */
export function listedCopies(config: Config, objects: StoredObject[], local: Found[]): Copy[] {
  const sizes = sizesOf(objects);
  const here = new Map(newestFirst(local).map(({ id, manifest }) => [id, manifest]));
  return [...sizes.keys()].flatMap(name => {
    const id = name.replace(/\.json$/, '');
    if (id === name || !isOurs(id, config)) return [];
    const manifest = here.get(id);
    const isWhole = !manifest || !sizeProblem(sizes, manifest);
    const snapshotAt = parseStamp(id.slice(-15)).toISOString();
    return [{ id, manifest: { snapshotAt }, isVerified: isWhole, isWhole }];
  });
}
