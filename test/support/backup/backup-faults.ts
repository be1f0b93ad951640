import { storedBackups } from '../../../scripts/lib/backup/catalog.ts';
import { openStore } from '../../../scripts/lib/s3/open-store.ts';
import type { World } from '../core/world.ts';
import { type Gate, gateAt, gateAtStore } from './faults.ts';
import { configOf } from './old-backups.ts';

/** Moments of a backup in the form `plain`. */
export const MOMENTS: Record<string, (world: World) => Gate> = {
  dump: world => gateAt(world, { program: 'gzip', args: '^-5', input: 100_000 }),
  // Of the two files that are decoded side by side, the dump.
  verification: world =>
    gateAt(world, { program: 'gzip', args: '^-dc', reading: '[0-9][.]sql[.]gz[.]partial$', input: 100 }),
};

/** The moment after the artifact is in the store and before its manifest is. */
export const betweenUploads = (world: World) => gateAtStore(world, /^PUT \/bucket\/database\/[^ ]*globals/);

async function inStore(world: World) {
  const config = configOf(world, {});
  return storedBackups(config, await openStore(config.s3!));
}

/** @returns the ids of the backups in the store, whole or not */
export const idsInStore = async (world: World) => (await inStore(world)).map(({ id }) => id);

/** @returns what is in the store and is no whole backup */
export async function unfinishedInStore(world: World): Promise<string[]> {
  const found = await inStore(world);
  return found.flatMap(({ id, problem }) => (problem === 'no manifest' ? [id] : []));
}
