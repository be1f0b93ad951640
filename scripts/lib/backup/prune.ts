import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { OperationalError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { attempt } from '../core/signals.ts';
import type { Store } from '../s3/open-store.ts';
import { isDenied } from '../s3/requests.ts';
import { deleteObject } from '../s3/store.ts';
import { type Backup, localBackups, newestFirst, type Place, storedBackups } from './catalog.ts';
import { globalsName, type Manifest, manifestName } from './manifest.ts';
import { collapse, type Decision, decide, deletesMost } from './retention.ts';
import { removeUnfinishedCopies } from './unfinished-copies.ts';

export interface PlacePlan {
  place: Place;
  decisions: Decision[];
  store?: Store;
  /** Why this place can't be read: nothing is deleted there, and the other place is not affected. */
  problem?: OperationalError | undefined;
}

/**
 * @param remember keeps what is read in the store, as {@link storedBackups}
 * @returns what retention would do in each place
 */
export async function planRetention(
  config: Config,
  store: Store | undefined,
  remember = false,
): Promise<PlacePlan[]> {
  const now = Date.now();
  const local = newestFirst(await localBackups(config, now));
  const plans: PlacePlan[] = [
    { place: 'local', decisions: decide(local, config.retentionDays, config.minKeep) },
  ];
  if (store) {
    const { value, problem } = await attempt(() => storedBackups(config, store, now, remember));
    const decisions = decide(newestFirst(value ?? []), store.settings.retentionDays, config.minKeep);
    plans.push({ place: 's3', decisions, store, problem });
  }
  return plans;
}

/**
 * Deletes the backups of one place whose decision is to delete them, up to the first that can't be deleted.
 *
 * @returns the deleted backups, those of them that are only hidden, and why the others of the place are left
 */
export async function applyRetention(
  config: Config,
  { place, decisions, store, problem }: PlacePlan,
): Promise<{ deleted: Backup[]; hidden: Backup[]; problem?: OperationalError | undefined }> {
  const deleted: Backup[] = [];
  const hidden: Backup[] = [];
  const done = await attempt(async () => {
    for (const { backup, reason } of decisions.filter(({ keep }) => !keep)) {
      const isHidden = await removeBackup(config, backup, store);
      deleted.push(backup);
      if (isHidden) hidden.push(backup);
      log.info(`${isHidden ? 'hid' : 'deleted'} ${backup.id} (${place}): ${reason}`);
    }
  });
  if (hidden.length > 0)
    log.warn(
      `the bucket keeps versions: ${plural(hidden.length, 'backup')} hidden by a delete marker, and stored until a lifecycle rule ` +
        'of the bucket deletes old versions; ./scripts/unhide-backup.ts lists them',
    );
  return { deleted, hidden, problem: problem ?? done.problem };
}

/**
 * Deletes one backup from one place. The manifest goes first: without it the backup does not exist.
 *
 * @returns whether it is only hidden, in a bucket that keeps versions
 * @throws exit code 4 when the store refuses
 */
async function removeBackup(
  config: Config,
  { id, place, manifest }: Backup,
  store?: Store,
): Promise<boolean> {
  let isHidden = false;
  for (const name of [manifestName(id), globalsName(id), manifest.artifact.name]) {
    if (place === 's3') isHidden = (await deleteObject(store!, name)) || isHidden;
    else await rm(join(config.backupDir, name), { force: true });
  }
  return isHidden;
}

/** What retention did after a backup. */
interface Retained {
  /** For the operator. */
  warnings: string[];
  /** Whether the store failed. A key that may not list or delete is no failure: the bucket's rules can delete. */
  offsiteFailed: boolean;
}

/**
 * Deletes expired backups after a backup, unattended; each place by itself, so that trouble in one does not fill the other.
 * It deletes nothing where an operator should check first: the new backup is not off-site, or is less than half of the
 * previous one, or most backups of a place would be deleted.
 */
export async function retain(
  config: Config,
  store: Store | undefined,
  made: Manifest,
  before: Manifest | undefined,
  offsiteFailure: OperationalError | undefined,
): Promise<Retained> {
  const lost = before && collapse(before, made);
  if (lost)
    return {
      warnings: held(`this backup is less than half of the previous one: ${lost}`),
      offsiteFailed: false,
    };
  if (offsiteFailure) return { warnings: held('the newest backup is not off-site'), offsiteFailed: false };
  const warnings: string[] = [];
  let offsiteFailed = false;
  const report = (place: Place, problem: OperationalError | undefined) => {
    if (!problem) return;
    // The new backup is good: too many old ones do not make it a failure.
    const warning = `retention (${place}) did not finish: ${problem.message}; ${problem.hint}`;
    log.warn(warning);
    warnings.push(warning);
    if (place === 's3' && !isDenied(problem)) offsiteFailed = true;
  };
  for (const plan of await planRetention(config, store, true)) {
    if (plan.store && !plan.problem) {
      const unfinished = await attempt(() => removeUnfinishedCopies(config, plan.store!));
      report(plan.place, unfinished.problem);
    }
    const why = deletesMost(plan.decisions);
    if (why) {
      warnings.push(
        ...held(
          `${plan.place}: ${why}; check ./scripts/prune-backups.ts --dry-run, then run ./scripts/prune-backups.ts`,
        ),
      );
      continue;
    }
    const { deleted, hidden, problem } = await applyRetention(config, plan);
    report(plan.place, problem);
    const kept = plan.decisions.length - deleted.length;
    if (!problem)
      log.done(`retention (${plan.place}): ${plural(kept, 'backup')} kept, ${describeGone(deleted, hidden)}`);
  }
  return { warnings, offsiteFailed };
}

/** @returns `3 deleted`, `3 hidden` or both, of which the hidden are in the deleted */
function describeGone(deleted: Backup[], hidden: Backup[]): string {
  const gone = deleted.length - hidden.length;
  const parts = [
    gone > 0 || hidden.length === 0 ? `${gone} deleted` : '',
    hidden.length > 0 ? `${hidden.length} hidden` : '',
  ];
  return parts.filter(Boolean).join(', ');
}

function held(why: string): string[] {
  const note = `nothing was deleted: ${why}`;
  log.warn(note);
  return [note];
}
