import type { Config } from '../config/config.ts';
import { word } from '../core/command-line.ts';
import { log } from '../core/log.ts';
import { holdImages } from '../docker/held-images.ts';
import { pullBoth } from '../docker/images.ts';
import { pendingMigrations } from '../migrations/pending.ts';
import { beginMaintenance } from '../nginx/maintenance.ts';
import { down, lineFor, loadWritten } from '../nginx/upstreams.ts';
import { isReady } from './instance.ts';
import { hasReached, type Journal, writeJournal } from './journal.ts';
import { pinImages } from './pin-images.ts';
import { type Release, releaseBefore } from './releases.ts';
import { rollAll } from './roll-out.ts';
import { swapDataBack } from './rollback-database.ts';
import { readyOf, removeTemporaryFrontend, retire } from './rolling-update.ts';

/**
 * Goes back to the previous release, and to its database. After a contracting migration it stops instead, and Nginx sends
 * requests to all instances that are ready.
 *
 * @returns how the deployment ends
 * @throws OperationalError when an image of the previous release can't be had (nothing is changed then), an instance of it does
 *   not become ready, the database can't be swapped back, or Nginx refuses its configuration
 */
export async function revert(config: Config, journal: Journal): Promise<Release['outcome']> {
  const { release, progress } = journal;
  const replaced = hasReached(progress, 'roll');
  if (!replaced) await keepApplied(config, journal);
  if (release.contracting.length > 0) {
    if (replaced) await useReadyInstances(config, progress);
    log.error(stoppedText(config, release));
    return 'stopped';
  }
  if (replaced) {
    await pullBoth(release.previous);
    await holdImages(config, Object.values(release.previous));
  }
  if (progress.data && hasReached(progress, 'restore')) {
    await beginMaintenance(); // a run that was killed at its end has switched it off
    await swapDataBack(config, progress.data);
  }
  if (!replaced) {
    log.info('no instance was replaced: the previous release still serves');
    return 'rolled back';
  }
  log.info('going back to the previous release');
  await writeJournal(config, journal, 'revert');
  await loadWritten(config);
  const surge = progress.servers.length > 1 ? null : progress.surge; // the only instance can't be drained without it
  const since = await rollAll(config, { ...progress, surge }, release.previous);
  if (progress.surge) await retire(config, progress.servers, [progress.surge]);
  await removeTemporaryFrontend(config, since);
  await pinImages(config, release.previous);
  log.done('the previous release serves again');
  return 'rolled back';
}

/** Why a deployment is not rolled back, and the command that does it with the data of the backup. */
function stoppedText(config: Config, release: Journal['release']): string {
  const { backup, contracting } = release;
  const name = releaseBefore(config, release);
  const known = backup !== null && !backup.startsWith('skipped');
  return (
    `not rolled back: ${contracting.join(', ')} changed the schema so that the previous release may fail\n` +
    `  → deploy a corrected version, or go back with the data of ${known ? 'the' : 'a'} backup${known ? '' : ' of ./scripts/list-backups.ts'}:\n` +
    `    ./scripts/rollback.ts ${word(name)} --with-database ${known ? backup : 'BACKUP'}`
  );
}

/** Removes the migrations from the journal that have not been applied. */
async function keepApplied(config: Config, { release, progress }: Journal): Promise<void> {
  const pending =
    progress.step === 'migrate' ? await pendingMigrations(config, release.images.backend) : undefined;
  const applied = (name: string) => pending !== undefined && !pending.some(each => each.name === name);
  release.migrations = release.migrations.filter(applied);
  release.contracting = release.contracting.filter(applied);
}

/**
 * Sends requests to all instances that are ready, of either release, and marks the others down in the list. The surge
 * instance stays when it replaces one that is not ready.
 */
async function useReadyInstances(config: Config, { servers, surge }: Journal['progress']): Promise<void> {
  await loadWritten(config);
  const ready = await readyOf(config, servers);
  const list = servers.map(line => (ready.has(line) ? line : down(line)));
  const stays = surge && ready.size < servers.length && (await isReady(config, surge));
  if (stays) return retire(config, [...list, lineFor(surge, servers[0]!)], []);
  if (ready.size > 0) await retire(config, list, surge ? [surge] : []);
}
