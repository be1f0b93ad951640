import { cronFields } from '../core/cron.ts';
import { usageError } from '../core/errors.ts';
import type { Scheduled } from './jobs.ts';

/*
 * cron on Debian and Ubuntu only knows the server's time zone. All zones differ from UTC by a multiple of 15 minutes.
 * So cron runs each line every hour, at the minutes of the expression and 15, 30 and 45 minutes later: one of these
 * times is the due time, in any zone, before and after a clock change, and after a change of the server's zone. A guard
 * at the start of the line checks the time in UTC.
 */
const SHIFTS = [0, 15, 30, 45];

/** PATH of the jobs; cron's own default lacks /usr/local/bin. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Bytes; Debian's cron refuses a longer command. */
const LONGEST_COMMAND = 998;

const every = (values: number[], size: number) => values.length === size;

/** @returns the minutes at which cron runs a line */
function watched(minutes: number[]): number[] {
  const shifted = minutes.flatMap(minute => SHIFTS.map(shift => (minute + shift) % 60));
  return [...new Set(shifted)].sort((a, b) => a - b);
}

/**
 * A busy server runs a line late. So the guard accepts a due minute and the minutes after it, up to the next minute at
 * which cron runs the line.
 */
function forgiving(minutes: number[]): number[] {
  const stops = [...watched(minutes), 60];
  return minutes.flatMap(minute => {
    const end = stops.find(stop => stop > minute)!;
    return Array.from({ length: end - minute }, (_, later) => minute + later);
  });
}

/**
 * @returns the five fields for the crontab, and the guard: an extended regular expression that must match the whole
 *   `minute hour day month weekday` in UTC; none where the fields match the same times in every zone
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

/** @returns a quoted word for sh in a crontab, where a % without a backslash ends the command */
export function quoteForCron(word: string): string {
  if (/[\n\r]/.test(word))
    throw usageError(
      'a path in a crontab can’t contain a line break',
      'move the repository to another path.',
    );
  return `'${word.replaceAll("'", "'\\''").replaceAll('%', "'\\%'")}'`;
}

/** @returns the crontab line of a job. Its output goes to `log`; a failure is printed to cron, which mails it. */
export function crontabLine({ name, expression, argv, nagios }: Scheduled, log: string): string {
  const { fields, guard } = timing(expression);
  const [script, ...args] = argv as [string, ...string[]];
  const run = `${[quoteForCron(script), ...args].join(' ')} >>${quoteForCron(log)} 2>&1`;
  const reported = nagios ? run : `{ ${run} || echo ${name}: exit status $?, see ${quoteForCron(log)}; }`;
  const command = guard
    ? `date -u '+\\%-M \\%-H \\%-d \\%-m \\%w' | grep -Eqx '${guard}' && ${reported}`
    : reported;
  if (Buffer.byteLength(command) > LONGEST_COMMAND)
    throw usageError(
      `the crontab line of ${name} is too long for cron`,
      'move the repository, or LOG_DIR, to a shorter path.',
    );
  return `${fields} ${command}`;
}

/** Whose a block of a crontab is. */
type Owner = { app: string; environment: string };

const begin = ({ app, environment }: Owner) => `# BEGIN ${app} ${environment} (schedule.ts)`;
const end = ({ app, environment }: Owner) => `# END ${app} ${environment} (schedule.ts)`;

/**
 * @returns an environment's lines, between markers. A variable in a crontab applies to all lines below it, so the block
 *   ends with the earlier values.
 * @param above the crontab above the block
 * @param user the crontab's user, who gets the mail without MAILTO
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
    '# Times are UTC. cron runs a line more often than its job; the line checks the time and runs the job when it is due.',
    ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
    ...off.map(name => `# ${name}: off`),
    ...jobs.flatMap(job => [`# ${job.name}: ${job.expression} UTC`, crontabLine(job, log)]),
    '# The variables of the lines above the block, for the lines below it:',
    ...Object.keys(settings).map(before),
    end(owner),
    '',
  ].join('\n');
}

/**
 * @returns the crontab without an environment's block, otherwise unchanged
 * @throws a usage error when one of the two markers is missing: the extent of the block is then unknown
 */
export function withoutBlock(crontab: string, owner: Owner): string {
  const kept: string[] = [];
  let since: number | undefined;
  const lines = crontab.split('\n');
  const broken = (line: number, marker: string) =>
    usageError(
      `line ${line + 1} of the crontab has no matching “${marker}”`,
      'restore the marker, or delete the other marker and the lines of schedule.ts, with crontab -e.',
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
