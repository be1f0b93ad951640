import {
  type Backup,
  listStored,
  localBackups,
  newestFirst,
  newestOf,
  walkLocal,
  walkStored,
} from '../../backup/catalog.ts';
import { listedCopies, missingCopies } from '../../backup/missing-copies.ts';
import { missCopy } from '../../backup/send-missing.ts';
import type { Config } from '../../config/config.ts';
import { cronTimes } from '../../core/cron.ts';
import { bytes, duration, utc } from '../../core/format.ts';
import { openStore, urlOf } from '../../s3/open-store.ts';
import { type Check, type Finding, grade, NotConfigured, worst } from '../check.ts';

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
    if (!s3) return noOffsiteCopy(config);
    const store = await openStore({ ...s3, timeout: Math.min(s3.timeout, REQUEST_SECONDS) }, 1);
    const objects = await listStored(config, store);
    const newest = await newestOf(walkStored(config, store, objects));
    const finding = freshness(config, newest, urlOf(store, ''));
    const local = await localBackups(config);
    const missing = missingCopies(config, s3.retentionDays, local, listedCopies(config, objects, local));
    // The newest may be on its way there; whether it comes in time is what the rest of this line says.
    const [last] = newestFirst(local);
    const earlier = missing.filter(({ id }) => id !== last?.id);
    if (earlier.length === 0) return finding;
    return {
      ...finding,
      status: worst([finding.status, 'warning']),
      message: `${finding.message}; ${missCopy(earlier.length)}`,
      hint:
        finding.hint ??
        `./scripts/backup.ts sends some in each run: ${config.logDir}/backup.log says why one fails.`,
    };
  },
});

/** Without a second place, the loss of the server is the loss of its backups: in production that is a fault. */
function noOffsiteCopy({ environment, envFile }: Config): Finding {
  const message = 'S3_BUCKET is empty: there is no off-site copy';
  if (environment !== 'production') throw new NotConfigured(message);
  return {
    status: 'warning',
    message,
    hint: `set S3_BUCKET and its keys in ${envFile}; no script has a default bucket, as the old backup.sh had.`,
  };
}

function freshness(config: Config, newest: Backup | undefined, where: string): Finding {
  const now = Date.now();
  const thresholds = limits(config, new Date(now));
  if (!newest)
    return {
      status: 'critical',
      message: `there is no backup in ${where}`,
      hint: './scripts/list-backups.ts says what is wrong with those that are there, if any.',
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
    hint: status === 'ok' ? undefined : `${config.logDir}/backup.log says why; then run ./scripts/backup.ts.`,
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
