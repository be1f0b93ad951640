import type { Config } from '../config/config.ts';
import { log } from '../core/log.ts';
import { pendingMigrations } from '../migrations/pending.ts';
import { down, lineFor, loadWritten, type ServerLine, serviceOf } from '../nginx/upstreams.ts';
import { isReady } from './instance.ts';
import { type Journal, writeJournal } from './journal.ts';
import { pinImages } from './pin-images.ts';
import type { Release } from './releases.ts';
import { rollAll } from './roll-out.ts';
import { removeTemporaryFrontend, retire } from './rolling-update.ts';

/**
 * Goes back to the previous release. After a contracting migration it stops instead, and Nginx sends requests to all
 * instances that are ready.
 *
 * @returns how the deployment ends
 * @throws OperationalError when an instance of the previous release does not become ready, or Nginx refuses its configuration
 */
export async function revert(config: Config, journal: Journal): Promise<Release['outcome']> {
  const { release, progress } = journal;
  const replaced = ['roll', 'bake', 'revert'].includes(progress.step);
  if (!replaced) await keepApplied(config, journal);
  if (release.contracting.length > 0) {
    if (replaced) await useReadyInstances(config, progress);
    const backup = release.backup?.startsWith('skipped') ? 'BACKUP' : (release.backup ?? 'BACKUP');
    log.error(
      `not rolled back: ${release.contracting.join(', ')} changed the schema so that the previous release may fail\n` +
        '  → deploy a corrected version, or go back with the data of the backup:\n' +
        `    ./scripts/rollback.ts --with-database ${backup}`,
    );
    return 'stopped';
  }
  if (!replaced) {
    log.info('no instance was replaced: the previous release still serves');
    return 'rolled back';
  }
  log.info('going back to the previous release');
  await writeJournal(config, journal, 'revert');
  await loadWritten(config);
  const since = await rollAll(config, { ...progress, surge: null }, release.previous);
  if (progress.surge) await retire(config, progress.servers, [progress.surge]);
  await removeTemporaryFrontend(config, since);
  await pinImages(config, release.previous);
  log.done('the previous release serves again');
  return 'rolled back';
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
  const ready = new Set<ServerLine>();
  for (const line of servers) if (await isReady(config, serviceOf(line))) ready.add(line);
  const list = servers.map(line => (ready.has(line) ? line : down(line)));
  const stays = surge && ready.size < servers.length && (await isReady(config, surge));
  if (stays) return retire(config, [...list, lineFor(surge, servers[0]!)], []);
  if (ready.size > 0) await retire(config, list, surge ? [surge] : []);
}
