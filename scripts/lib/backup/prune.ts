import type { Config } from '../config/config.ts';
import { OperationalError, operational } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { interrupt } from '../core/signals.ts';
import type { Store } from '../s3/open-store.ts';
import { isDenied } from '../s3/requests.ts';
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
  /** Why this place can't be read: nothing is deleted there, and the other place is not affected. */
  problem?: OperationalError | undefined;
}

/** @returns what retention would do in each place */
export async function planRetention(config: Config, store: Store | undefined): Promise<PlacePlan[]> {
  const now = Date.now();
  const local = newestFirst(await localBackups(config, now));
  const plans: PlacePlan[] = [
    { place: 'local', decisions: decide(local, config.retentionDays, config.minKeep) },
  ];
  if (config.s3 && store) {
    const { value, problem } = await attempt(() => storedBackups(config, store, now));
    const decisions = decide(newestFirst(value ?? []), config.s3.retentionDays, config.minKeep);
    plans.push({ place: 's3', decisions, store, problem });
  }
  return plans;
}

/**
 * Deletes the backups of one place whose decision is to delete them, up to the first that can't be deleted.
 *
 * @returns the deleted backups, and why the others of the place are left
 */
export async function applyRetention(
  config: Config,
  { place, decisions, store, problem }: PlacePlan,
): Promise<{ deleted: Backup[]; problem?: OperationalError | undefined }> {
  const deleted: Backup[] = [];
  let hidden = 0;
  const done = await attempt(async () => {
    for (const { backup, reason } of decisions.filter(({ keep }) => !keep)) {
      const isHidden = await removeBackup(config, backup, store);
      deleted.push(backup);
      if (isHidden) hidden++;
      log.info(`${isHidden ? 'hid' : 'deleted'} ${backup.id} (${place}): ${reason}`);
    }
  });
  if (hidden > 0)
    log.warn(
      `the bucket keeps versions: ${plural(hidden, 'backup')} hidden by a delete marker, and stored until a lifecycle rule ` +
        'of the bucket deletes old versions',
    );
  return { deleted, problem: problem ?? done.problem };
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
  for (const plan of await planRetention(config, store)) {
    if (plan.store && !plan.problem) {
      const unfinished = await attempt(() => removeUnfinishedCopies(config, plan.store!));
      report(plan.place, unfinished.problem);
    }
    const why = deletesMost(plan.decisions);
    if (why) {
      warnings.push(
        ...held(`${plan.place}: ${why}; check prune-backups.ts --dry-run, then run prune-backups.ts`),
      );
      continue;
    }
    const { deleted, problem } = await applyRetention(config, plan);
    report(plan.place, problem);
    const kept = plan.decisions.length - deleted.length;
    if (!problem)
      log.done(`retention (${plan.place}): ${plural(kept, 'backup')} kept, ${deleted.length} deleted`);
  }
  return { warnings, offsiteFailed };
}

/** @returns the result, or the failure that an operator can act on; a signal and a bug are thrown */
async function attempt<T>(work: () => Promise<T>): Promise<{ value?: T; problem?: OperationalError }> {
  try {
    return { value: await work() };
  } catch (error) {
    const problem = operational(error);
    if (!(problem instanceof OperationalError) || interrupt.aborted) throw error;
    return { problem };
  }
}

function held(why: string): string[] {
  const note = `nothing was deleted: ${why}`;
  log.warn(note);
  return [note];
}
