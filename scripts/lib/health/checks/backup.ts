import { type Backup, newestOf, walkLocal, walkStored } from '../../backup/catalog.ts';
import type { Config } from '../../config/config.ts';
import { cronTimes } from '../../core/cron.ts';
import { bytes, duration, utc } from '../../core/format.ts';
import { openStore, urlOf } from '../../s3/open-store.ts';
import { type Check, type Finding, grade, NotConfigured } from '../check.ts';

/** Seconds after its scheduled time within which a backup must be there. */
const GRACE = 3600;
const TIMEOUT = 8;
/** Of one request to S3: two must fit into the check's time. */
const REQUEST_SECONDS = 3;

export const backupHere = (config: Config): Check => ({
  name: 'backup',
  run: async () => freshness(config, await newestOf(walkLocal(config)), config.backupDir),
});

export const backupInS3 = (config: Config): Check => ({
  name: 'backup-s3',
  timeout: TIMEOUT,
  run: async () => {
    const { s3 } = config;
    if (!s3) throw new NotConfigured('S3_BUCKET is empty: there is no off-site copy');
    const store = await openStore({ ...s3, timeout: Math.min(s3.timeout, REQUEST_SECONDS) }, 1);
    return freshness(config, await newestOf(walkStored(config, store)), urlOf(store, ''));
  },
});

function freshness(config: Config, newest: Backup | undefined, where: string): Finding {
  const now = Date.now();
  const thresholds = limits(config, new Date(now));
  if (!newest)
    return {
      status: 'critical',
      message: `there is no backup in ${where}`,
      hint: 'list-backups.ts says what is wrong with those that are there, if any.',
      unit: 's',
      thresholds,
    };
  const { manifest } = newest;
  const age = (now - Date.parse(manifest.snapshotAt)) / 1000;
  const status = grade(age, thresholds);
  const late = { ok: '', warning: 'one is missed: ', critical: 'backups are missed: ' }[status as 'ok'];
  const size = status === 'ok' ? `, ${bytes(manifest.artifact.bytes)}` : '';
  return {
    status,
    message: `${late}the newest has the data of ${utc(manifest.snapshotAt)}, ${duration(age)} ago${size}`,
    hint: status === 'ok' ? undefined : 'logs/backup.log says why; then run ./scripts/backup.ts.',
    value: Math.round(age),
    unit: 's',
    thresholds,
  };
}

/**
 * @returns the ages in seconds at which one backup is missed, and two. Without a schedule, something else makes the
 *   backups, and RPO_OBJECTIVE is the limit.
 */
export function limits(
  { schedule, rpo }: Pick<Config, 'schedule' | 'rpo'>,
  now: Date,
): { warning: number; critical: number } {
  if (schedule.backup === 'off') return { warning: rpo, critical: rpo };
  const times = cronTimes(schedule.backup, new Date(now.getTime() - GRACE * 1000));
  const age = () => (now.getTime() - times.prev().getTime()) / 1000;
  const warning = age();
  return { warning, critical: age() };
}
