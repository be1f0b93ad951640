import type { Config } from '../config/config.ts';
import { imageUpdates } from './image-updates.ts';
import { npmUpdates, systemUpdates } from './package-updates.ts';
import { permissions } from './permissions.ts';
import { tableRestore } from './table-restore.ts';
import { doAll, lookAll, resultOf } from './tasks.ts';

/**
 * Looks for updates, restores a table at random into a scratch database, and looks at permissions.
 *
 * @param dryRun whether the table is only named
 */
export async function monthly(config: Config, dryRun: boolean | undefined) {
  const looked = await lookAll([
    imageUpdates(config),
    npmUpdates(),
    systemUpdates(),
    tableRestore(config),
    permissions(config),
  ]);
  if (!dryRun) await doAll(looked);
  return resultOf(
    looked.map(({ outcome }) => outcome),
    dryRun,
  );
}
