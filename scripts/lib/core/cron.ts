import { createRequire } from 'node:module';
import type { CronExpression } from 'cron-parser';
import { messageOf } from './errors.ts';

/** The five fields that cron accepts; cron-parser also accepts seconds, `@daily`, `L`, `H` and fewer fields. */
const FIVE_FIELDS = /^[\d*,/-]+ [\d*,/-]+ [\d*,/-]+ [\da-z*,/-]+ [\da-z*,/-]+$/i;

/** Loaded on first use: most scripts do not need it. */
const cronParser = (): typeof import('cron-parser') => require('cron-parser');
const require = createRequire(import.meta.url);

/** What was parsed already: the scheduler asks for the same expressions at each look at the clock. */
const parsed = new Map<string, CronExpression['fields']>();

/** @returns the times of an expression of five fields, in UTC, later than `after` */
export function cronTimes(expression: string, after: Date): CronExpression {
  const { CronExpression, CronExpressionParser } = cronParser();
  const fields = parsed.get(expression) ?? CronExpressionParser.parse(expression).fields;
  parsed.set(expression, fields);
  return new CronExpression(fields, { tz: 'UTC', currentDate: after });
}

/** The times around the instant that was asked for last: the scheduler looks at the clock many times between two. */
const around = new Map<string, { last: number; next: number }>();

function timesAround(expression: string, instant: Date): { last: number; next: number } {
  const time = instant.getTime();
  const known = around.get(expression);
  if (known && known.last <= time && time < known.next) return known;
  const last = cronTimes(expression, new Date(time + 1)).prev();
  const next = cronTimes(expression, instant).next();
  const times = { last: last.getTime(), next: next.getTime() };
  around.set(expression, times);
  return times;
}

/** @returns the last time of an expression, in UTC, that is not after `instant` */
export function lastTime(expression: string, instant: Date): Date {
  return new Date(timesAround(expression, instant).last);
}

/** @returns the first time of an expression, in UTC, after `instant` */
export function nextTime(expression: string, instant: Date): Date {
  return new Date(timesAround(expression, instant).next);
}

/** @returns what is wrong with an expression, without quoting it; undefined: nothing */
export function cronProblem(expression: string): string | undefined {
  if (!FIVE_FIELDS.test(expression)) return 'unsupported syntax';
  try {
    cronTimes(expression, new Date()).next();
    return undefined;
  } catch (error) {
    const [, range] = /expected range (\d+-\d+)/.exec(messageOf(error)) ?? [];
    return range ? `a field is not within ${range}` : 'a field can’t be read, or names no day that exists';
  }
}

/** All values that each field matches; Sunday is 0. */
interface CronFields {
  minutes: number[];
  hours: number[];
  daysOfMonth: number[];
  months: number[];
  daysOfWeek: number[];
  /** Day of month and day of week are both restricted: the expression then matches days that match either. */
  eitherDay: boolean;
}

/** @returns the values of each field of an expression */
export function cronFields(expression: string): CronFields {
  const { minute, hour, dayOfMonth, month, dayOfWeek } = cronTimes(expression, new Date()).fields;
  const weekdays = new Set(dayOfWeek.values.map(day => Number(day) % 7));
  return {
    minutes: [...minute.values],
    hours: [...hour.values],
    daysOfMonth: dayOfMonth.values.map(Number),
    months: [...month.values],
    daysOfWeek: [...weekdays].sort(),
    eitherDay: !dayOfMonth.isWildcard && !dayOfWeek.isWildcard,
  };
}
