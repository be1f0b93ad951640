import { join } from 'node:path';
import { type Config, type Job, ROOT } from '../config/config.ts';
import { nextTime } from '../core/cron.ts';
import { duration, table } from '../core/format.ts';

/** A script that recurs. */
interface Recurring {
  /** Without .ts. Default: the job's name. */
  script?: string;
  flags?: string[];
  /** Its exit codes 0 to 3 are results in the Nagios convention; it sends their notifications itself. */
  nagios?: true;
}

/** The recurring jobs. To add one, add a line here, a SCHEDULE_ variable and its field in Config. */
const JOBS: Record<Job, Recurring> = {
  backup: {},
  'health-check': { flags: ['--notify', '--nagios'], nagios: true },
  drill: {},
  certificates: { flags: ['renew'] },
  weekly: { script: 'maintenance', flags: ['weekly', '--yes'] },
  'load-check': { script: 'verify-backup', flags: ['latest', '--load', '--if-due'] },
};

/** A job that is not off. */
export interface Scheduled extends Pick<Recurring, 'nagios'> {
  name: Job;
  /** Five fields of cron, in UTC. */
  expression: string;
  /** The script by its path, with its arguments. */
  argv: string[];
}

/** @returns the jobs of an environment, and the names of those that are off */
export function jobsOf({ environment, schedule }: Config): { jobs: Scheduled[]; off: Job[] } {
  const jobs = (Object.keys(JOBS) as Job[]).map(name => {
    const { script = name, flags = [], ...job } = JOBS[name];
    const argv = [join(ROOT, `scripts/${script}.ts`), '--env', environment, ...flags];
    return { ...job, name, expression: schedule[name], argv };
  });
  const isOff = ({ expression }: Scheduled) => expression === 'off';
  return { jobs: jobs.filter(job => !isOff(job)), off: jobs.filter(isOff).map(({ name }) => name) };
}

/** @returns whether the script has sent its own notification: it can't when it was killed, or did not start */
export function notifiesByItself({ nagios }: Scheduled, exitCode: number): boolean {
  return (nagios ? [0, 1, 2, 3] : [0, 1, 3, 4]).concat(130, 143).includes(exitCode);
}

const minute = (instant: Date, timeZone: string) =>
  new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' }).format(instant);

/** @returns the next run of each job, in UTC and in local time */
export function comingRuns(config: Config, now: Date) {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const zones = timeZone === 'UTC' || timeZone === 'Etc/UTC' ? ['UTC'] : ['UTC', timeZone];
  const { jobs, off } = jobsOf(config);
  const runs = jobs
    .map(({ name, expression }) => ({ job: name, expression, next: nextTime(expression, now) }))
    .sort((a, b) => a.next.getTime() - b.next.getTime());
  const rows = runs.map(({ job, expression, next }) => [
    job,
    expression,
    ...zones.map(zone => minute(next, zone)),
    duration((next.getTime() - now.getTime()) / 1000),
  ]);
  return {
    text: table(
      ['job', 'schedule (UTC)', ...zones.map(zone => `next (${zone})`), '>in'],
      [...rows, ...off.map(name => [name, 'off'])],
    ),
    json: { runs, off },
  };
}
