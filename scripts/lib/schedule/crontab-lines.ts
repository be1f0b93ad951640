import { cronFields } from '../core/cron.ts';
import { usageError } from '../core/errors.ts';
import type { Scheduled } from './jobs.ts';

/*
 * Debian's and Ubuntu's cron goes by the server's zone and knows no other. All zones differ from UTC by a multiple
 * of 15 minutes, so a line that is looked at in every hour, at the minutes of the expression and those a quarter, a
 * half and three quarters of an hour later, is looked at when the job is due, in any zone, on either side of a
 * change of the clock, and after the server has been given another zone. A guard then asks the clock of UTC.
 */
const SHIFTS = [0, 15, 30, 45];

/** Where a command's programs are looked for; cron's own default lacks /usr/local/bin. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Of a crontab's line, Debian's cron refuses a longer one as a whole. */
const LONGEST_COMMAND = 998;

const every = (values: number[], size: number) => values.length === size;

/** @returns the minutes at which cron runs a line */
function watched(minutes: number[]): number[] {
  const shifted = minutes.flatMap(minute => SHIFTS.map(shift => (minute + shift) % 60));
  return [...new Set(shifted)].sort((a, b) => a - b);
}

/**
 * A server that stands still for a moment runs the line late: what counts is the minute that it was looked at for,
 * so that each stands for those after it until the next one.
 */
function forgiving(minutes: number[]): number[] {
  const stops = [...watched(minutes), 60];
  return minutes.flatMap(minute => {
    const end = stops.find(stop => stop > minute)!;
    return Array.from({ length: end - minute }, (_, later) => minute + later);
  });
}

/**
 * When a line runs: the five fields for the crontab and what must hold of `minute hour day month weekday` in UTC, as
 * an extended regular expression for a whole line. Without a guard, where any zone gives the same.
 */
export function timing(expression: string): { fields: string; guard?: string } {
  const { minutes, hours, daysOfMonth, months, daysOfWeek, eitherDay } = cronFields(expression);
  const watch = watched(minutes);
  const field = /^\*(\/\d+)?$/.exec(expression.split(' ')[0]!)?.[0] ?? watch.join();
  const anyDay = every(daysOfMonth, 31) && every(daysOfWeek, 7);
  if (watch.length === minutes.length && every(hours, 24) && every(months, 12) && anyDay)
    return { fields: `${field} * * * *` };
  const among = (values: number[], size: number) =>
    every(values, size) ? '[0-9]+' : values.length === 1 ? `${values}` : `(${values.join('|')})`;
  const time = `${among(forgiving(minutes), 60)} ${among(hours, 24)}`;
  const on = (days: number[], weekdays: number[]) =>
    `${time} ${among(days, 31)} ${among(months, 12)} ${among(weekdays, 7)}`;
  const any = Array.from({ length: 31 }, (_, day) => day + 1);
  const guard = eitherDay
    ? `${on(daysOfMonth, any.slice(0, 7))}|${on(any, daysOfWeek)}`
    : on(daysOfMonth, daysOfWeek);
  return { fields: `${watch.join()} * * * *`, guard };
}

/** @returns a word for sh within a crontab, where a % that no backslash precedes ends the command */
export function quoteForCron(word: string): string {
  if (/[\n\r]/.test(word))
    throw usageError('no crontab takes a path with a line break', 'move the repository to another path.');
  return `'${word.replaceAll("'", "'\\''").replaceAll('%', "'\\%'")}'`;
}

/** @returns the crontab's line of a job, whose output goes to `log`; a failure is said to cron, which mails it */
export function crontabLine({ name, expression, argv, nagios }: Scheduled, log: string): string {
  const { fields, guard } = timing(expression);
  const [script, ...args] = argv as [string, ...string[]];
  const run = `${[quoteForCron(script), ...args].join(' ')} >>${quoteForCron(log)} 2>&1`;
  const told = nagios ? run : `{ ${run} || echo ${name}: exit status $?, see ${quoteForCron(log)}; }`;
  const command = guard ? `date -u '+\\%-M \\%-H \\%-d \\%-m \\%w' | grep -Eqx '${guard}' && ${told}` : told;
  if (Buffer.byteLength(command) > LONGEST_COMMAND)
    throw usageError(
      `the crontab's line of ${name} would be longer than cron takes`,
      'move the repository, or LOG_DIR, to a shorter path.',
    );
  return `${fields} ${command}`;
}

/** Of one environment's block in a crontab. */
export interface Owner {
  app: string;
  environment: string;
}

const begin = ({ app, environment }: Owner) => `# BEGIN ${app} ${environment} (schedule.ts)`;
const end = ({ app, environment }: Owner) => `# END ${app} ${environment} (schedule.ts)`;

/**
 * An environment's lines, between markers. A setting in a crontab holds for all lines after it, so the block ends with
 * those that held before it.
 * @param above what the crontab has before the block
 * @param user whose crontab it is: who gets the mails unless a line says otherwise
 */
export function block(
  owner: Owner,
  { jobs, off, log, mailTo }: { jobs: Scheduled[]; off: string[]; log: string; mailTo?: string | undefined },
  above: string,
  user: string,
): string {
  const settings = { SHELL: '/bin/sh', PATH, ...(mailTo && { MAILTO: mailTo }) };
  const defaults: Record<string, string> = { SHELL: '/bin/sh', PATH: '/usr/bin:/bin', MAILTO: user };
  const before = (name: string) =>
    above.split('\n').findLast(line => new RegExp(`^\\s*(["']?)${name}\\1\\s*=`).test(line)) ??
    `${name}=${defaults[name]}`;
  return [
    begin(owner),
    '# Times are UTC: a line looks at the clock at each time that it could be, and runs when it is.',
    ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
    ...off.map(name => `# ${name}: off`),
    ...jobs.flatMap(job => [`# ${job.name}: ${job.expression} UTC`, crontabLine(job, log)]),
    '# What held for the lines above holds again.',
    ...Object.keys(settings).map(before),
    end(owner),
    '',
  ].join('\n');
}

/**
 * @returns the crontab without an environment's block, all else as it was
 * @throws a usage error when one of its two markers is missing: then the extent of the block is unknown
 */
export function withoutBlock(crontab: string, owner: Owner): string {
  const kept: string[] = [];
  let since: number | undefined;
  const lines = crontab.split('\n');
  const broken = (line: number, marker: string) =>
    usageError(
      `line ${line + 1} of the crontab has no “${marker}” to it`,
      'put the marker back, or delete the other one and the lines that are schedule.ts’s, with crontab -e.',
    );
  for (const [index, line] of lines.entries()) {
    if (line === begin(owner)) {
      if (since !== undefined) throw broken(since, end(owner));
      since = index;
    } else if (line === end(owner)) {
      if (since === undefined) throw broken(index, begin(owner));
      since = undefined;
    } else if (since === undefined) kept.push(line);
  }
  if (since !== undefined) throw broken(since, end(owner));
  return kept.join('\n');
}
