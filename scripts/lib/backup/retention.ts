import { bytes, count, plural } from '../core/format.ts';
import { totalRows } from '../postgres/row-counts.ts';
import type { Backup } from './catalog.ts';
import type { Manifest } from './manifest.ts';

const DAY = 86_400_000;

/** What retention has to know of a backup. */
export interface Dated {
  manifest: Pick<Manifest, 'snapshotAt'>;
}

export interface Decision<T extends Dated = Backup> {
  backup: T;
  keep: boolean;
  /** The reason, for the operator. */
  reason: string;
}

/**
 * Decides which backups of one place are kept. Age counts from the newest backup, not from now: when backups fail
 * for a month, or the clock jumps, no backup expires.
 *
 * @param newestFirst the verified backups of one app, environment and database in one place
 */
export function decide<T extends Dated>(newestFirst: T[], days: number, minKeep: number): Decision<T>[] {
  const newest = newestFirst[0];
  return newestFirst.map((backup, index) => {
    const age = (Date.parse(newest!.manifest.snapshotAt) - Date.parse(backup.manifest.snapshotAt)) / DAY;
    const older = `${age.toFixed(1)} days older than the newest`;
    if (index === 0) return { backup, keep: true, reason: 'the newest' };
    if (index < minKeep) return { backup, keep: true, reason: `one of the newest ${minKeep}` };
    if (age <= days) return { backup, keep: true, reason: `${older}, kept for ${days}` };
    return { backup, keep: false, reason: `${older}, over ${days}` };
  });
}

/**
 * Unattended, retention never deletes most backups of a place. It would after a jump of the clock, after a long
 * pause, or with a digit missing in a setting: an operator should check first.
 *
 * @returns why nothing should be deleted
 */
export function deletesMost(decisions: Decision[]): string | undefined {
  const gone = decisions.filter(({ keep }) => !keep).length;
  if (gone * 2 <= decisions.length) return undefined;
  return `it would delete ${gone} of ${plural(decisions.length, 'backup')} at once`;
}

/** @returns why data may have been lost between two backups: the later has less than half the rows or bytes */
export function collapse(before: Manifest, now: Manifest): string | undefined {
  const rowsBefore = totalRows(before.tables);
  const rowsNow = totalRows(now.tables);
  if (rowsNow * 2 < rowsBefore) return `${count(rowsNow)} rows after ${count(rowsBefore)} in ${before.id}`;
  // Sizes compare only within one format.
  if (before.format === now.format && now.artifact.bytes * 2 < before.artifact.bytes) {
    return `${bytes(now.artifact.bytes)} after ${bytes(before.artifact.bytes)} in ${before.id}`;
  }
  return undefined;
}
