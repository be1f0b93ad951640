import { createRequire } from 'node:module';
import type { CronExpression, CronExpressionParser } from 'cron-parser';
import { messageOf } from './errors.ts';

/** A shape that cron has too: cron-parser also takes seconds, `@daily`, `L`, `H` and fewer fields. */
const FIVE_FIELDS = /^[\d*,/-]+ [\d*,/-]+ [\d*,/-]+ [\da-z*,/-]+ [\da-z*,/-]+$/i;

/** Loaded by whoever asks: most runs of most scripts never need it. */
function parser(): typeof CronExpressionParser {
  return createRequire(import.meta.url)('cron-parser').CronExpressionParser;
}

/** @returns the times of an expression of five fields, in UTC, from `after` on, which is not one of them */
export function cronTimes(expression: string, after: Date): CronExpression {
  return parser().parse(expression, { tz: 'UTC', currentDate: after });
}

/** @returns the last time of an expression, in UTC, that is not after `instant` */
export function lastTime(expression: string, instant: Date): Date {
  return cronTimes(expression, new Date(instant.getTime() + 1))
    .prev()
    .toDate();
}

/** @returns the first time of an expression, in UTC, after `instant` */
export function nextTime(expression: string, instant: Date): Date {
  return cronTimes(expression, instant).next().toDate();
}

/** @returns what is wrong with an expression, or undefined */
export function cronProblem(expression: string): string | undefined {
  if (!FIVE_FIELDS.test(expression)) return 'it has another form';
  try {
    cronTimes(expression, new Date()).next();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Every value that a field stands for; Sunday is 0. */
export interface CronFields {
  minutes: number[];
  hours: number[];
  daysOfMonth: number[];
  months: number[];
  daysOfWeek: number[];
  /** Both kinds of day are restricted: cron then takes either. */
  eitherDay: boolean;
}

/** @returns an expression's fields written out */
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
