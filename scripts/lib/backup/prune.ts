import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { interrupt } from '../core/signals.ts';
import type { Store } from '../s3/open-store.ts';
import {
  type Backup,
  localBackups,
  newestFirst,
  type Place,
  removeBackup,
  storedBackups,
} from './catalog.ts';
import type { Manifest } from './manifest.ts';
import { collapse, type Decision, decide, deletesMost } from './retention.ts';
import { removeUnfinishedCopies } from './unfinished-copies.ts';

export interface PlacePlan {
  place: Place;
  decisions: Decision[];
  store?: Store;
}

/**
 * @returns what retention would do in each place
 * @throws exit code 4 when the store can't be read
 */
export async function planRetention(config: Config, store: Store | undefined): Promise<PlacePlan[]> {
  const now = Date.now();
  const local = newestFirst(await localBackups(config, now));
  const plans: PlacePlan[] = [
    { place: 'local', decisions: decide(local, config.retentionDays, config.minKeep) },
  ];
  if (config.s3 && store) {
    const stored = newestFirst(await storedBackups(config, store, now));
    plans.push({ place: 's3', decisions: decide(stored, config.s3.retentionDays, config.minKeep), store });
  }
  return plans;
}

/**
 * Deletes the backups of one place whose decision is to delete them.
 *
 * @returns the deleted backups
 * @throws exit code 4 when the store refuses
 */
export async function applyRetention(
  config: Config,
  { place, decisions, store }: PlacePlan,
): Promise<Backup[]> {
  const gone = decisions.filter(({ keep }) => !keep);
  for (const { backup, reason } of gone) {
    await removeBackup(config, backup, store);
    log.info(`deleted ${backup.id} (${place}): ${reason}`);
  }
  return gone.map(({ backup }) => backup);
}

/**
 * Deletes expired backups after a backup, unattended. It deletes nothing where an operator should check first: the
 * new backup is not off-site, or is less than half of the previous one, or most backups of a place would be deleted.
 *
 * @returns warnings for the operator
 */
export async function retain(
  config: Config,
  store: Store | undefined,
  made: Manifest,
  before: Manifest | undefined,
  offsiteFailure: OperationalError | undefined,
): Promise<string[]> {
  const lost = before && collapse(before, made);
  if (lost) return held(`this backup is less than half of the previous one: ${lost}`);
  if (offsiteFailure) return held('the newest backup is not off-site');
  try {
    if (store) await removeUnfinishedCopies(config, store);
    const notes: string[] = [];
    for (const plan of await planRetention(config, store)) notes.push(...(await retainIn(config, plan)));
    return notes;
  } catch (error) {
    if (!(error instanceof OperationalError) || interrupt.aborted) throw error;
    // The new backup is good: too many old ones do not make it a failure.
    const note = `retention did not finish: ${error.message}; ${error.hint}`;
    log.warn(note);
    return [note];
  }
}

async function retainIn(config: Config, plan: PlacePlan): Promise<string[]> {
  const why = deletesMost(plan.decisions);
  if (why) return held(`${plan.place}: ${why}; check prune-backups.ts --dry-run, then run prune-backups.ts`);
  const deleted = await applyRetention(config, plan);
  const kept = plan.decisions.length - deleted.length;
  log.done(`retention (${plan.place}): ${plural(kept, 'backup')} kept, ${deleted.length} deleted`);
  return [];
}

function held(why: string): string[] {
  const note = `nothing was deleted: ${why}`;
  log.warn(note);
  return [note];
}
