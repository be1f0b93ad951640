import { localBackups, newestFirst, newestOf, walkLocal } from '../../backup/catalog.ts';
import { type BackupCheck, readChecks } from '../../backup/check-log.ts';
import { lastLoaded, loadInterval } from '../../backup/load-due.ts';
import type { Manifest } from '../../backup/manifest.ts';
import type { Config } from '../../config/config.ts';
import { cronTimes } from '../../core/cron.ts';
import { duration } from '../../core/format.ts';
import { type Check, type Finding, grade, NotConfigured } from '../check.ts';

/** Seconds after its scheduled time within which a backup must be loaded. */
const GRACE = 2 * 3600;
const DAY = 24 * 3600;
/** Runs that may be missed before that is critical: backups are still made and read. */
const SEVERAL = 4;

export const backupLoaded = (config: Config): Check => ({
  name: 'backup-loaded',
  run: async () => {
    if (config.loadCheck === 'off') throw new NotConfigured('LOAD_CHECK is off: no backup is loaded');
    if (config.schedule['load-check'] === 'off')
      throw new NotConfigured('SCHEDULE_LOAD_CHECK is off: no backup is loaded');
    const newest = await newestOf(walkLocal(config));
    const thresholds = loadLimits(config, newest?.manifest.databaseBytes, new Date());
    const last = lastLoaded(readChecks(config));
    const finding = last
      ? sinceLoaded(last, newest?.manifest, thresholds)
      : neverLoaded(newestFirst(await localBackups(config)).at(-1)?.manifest, thresholds);
    const hint =
      finding.status === 'ok'
        ? undefined
        : `${config.logDir}/load-check.log says why; then run ./scripts/verify-backup.ts latest --load.`;
    return { ...finding, hint, unit: 's', thresholds };
  },
});

type Thresholds = NonNullable<Finding['thresholds']>;

const ageOf = (time: string) => (Date.now() - Date.parse(time)) / 1000;

function sinceLoaded(
  last: BackupCheck,
  newest: Manifest | undefined,
  thresholds: Thresholds,
): Pick<Finding, 'status' | 'message' | 'value'> {
  const age = ageOf(last.at);
  // Without a new backup there is nothing to load.
  const status = newest?.id === last.id ? 'ok' : grade(age, thresholds);
  const late = status === 'ok' ? '' : 'newer backups are not proven to load: ';
  return {
    status,
    message: `${late}the last that was loaded and compared is ${last.id}, ${duration(age)} ago`,
    value: Math.round(age),
  };
}

/** @param oldest from whose time on one could have been loaded */
function neverLoaded(
  oldest: Manifest | undefined,
  { warning }: Thresholds,
): Pick<Finding, 'status' | 'message'> {
  const isNew = oldest !== undefined && ageOf(oldest.snapshotAt) < warning;
  return { status: isNew ? 'ok' : 'warning', message: 'no backup has been loaded and compared yet' };
}

/**
 * @param databaseBytes of the newest backup; undefined: not known
 * @returns the ages in seconds at which one load is missed, and several
 */
export function loadLimits(
  { schedule, loadCheck }: Pick<Config, 'schedule' | 'loadCheck'>,
  databaseBytes: number | undefined,
  now: Date,
): Thresholds {
  const times = cronTimes(schedule['load-check'], new Date(now.getTime() - GRACE * 1000));
  const ages = Array.from({ length: SEVERAL }, () => (now.getTime() - times.prev().getTime()) / 1000);
  const [warning] = ages as [number];
  return loadInterval(loadCheck, databaseBytes) === 'weekly'
    ? { warning: warning + 7 * DAY, critical: warning + SEVERAL * 7 * DAY }
    : { warning, critical: ages.at(-1)! };
}
