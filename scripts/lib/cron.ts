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
