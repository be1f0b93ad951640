/** When the newest backup is loaded into a scratch database, to prove that it can be. */
import type { Config } from '../config/config.ts';
import { bytes, utc } from '../core/format.ts';
import { type BackupCheck, lastCheck } from './check-log.ts';
import type { Manifest } from './manifest.ts';

/** Bytes of a database above which `auto` means weekly: it takes longer than a quiet night has room for. */
const WEEKLY_ABOVE = 20e9;
const DAY = 24 * 3600_000;
/** The job runs at the same time each night, and ends a little later each time. */
const WEEK = 6.5 * DAY;

/** @returns how often a database of this size is loaded. @param databaseBytes undefined: not known */
export function loadInterval(
  mode: Config['loadCheck'],
  databaseBytes: number | undefined,
): 'nightly' | 'weekly' | 'off' {
  if (mode !== 'auto') return mode;
  return (databaseBytes ?? 0) > WEEKLY_ABOVE ? 'weekly' : 'nightly';
}

/** @returns the last check that loaded a backup */
export function lastLoaded(checks: BackupCheck[]): BackupCheck | undefined {
  return checks.findLast(({ check }) => check === 'loaded');
}

/**
 * @param newest the backup that would be loaded
 * @param checks all that are recorded
 * @returns why it is not due now, as a sentence; undefined: it is due
 */
export function whyNotDue(
  mode: Config['loadCheck'],
  newest: Pick<Manifest, 'id' | 'databaseBytes'>,
  checks: BackupCheck[],
  now: Date,
): string | undefined {
  const interval = loadInterval(mode, newest.databaseBytes);
  if (interval === 'off') return 'LOAD_CHECK is off';
  const own = lastCheck(checks, newest.id, 'loaded');
  if (own) return `${newest.id} was loaded ${utc(own)}`;
  const last = lastLoaded(checks);
  if (interval === 'nightly' || !last || now.getTime() - Date.parse(last.at) >= WEEK) return undefined;
  const why = mode === 'auto' ? `, as the database has ${bytes(newest.databaseBytes)}` : '';
  return `a backup is loaded weekly${why}; the last was ${last.id}, ${utc(last.at)}`;
}
