import { duration, plural, styled, wrap } from '../core/format.ts';
import { type CheckResult, type Status, worst } from './check.ts';

/** The overall status: exit code and word of Nagios, and word of the JSON. */
export const OVERALL = {
  ok: { code: 0, word: 'OK', json: 'healthy' },
  warning: { code: 1, word: 'WARNING', json: 'warning' },
  critical: { code: 2, word: 'CRITICAL', json: 'critical' },
  unknown: { code: 3, word: 'UNKNOWN', json: 'unknown' },
} as const;

type Overall = keyof typeof OVERALL;

/** @returns the worst status of all lines */
export const overallOf = (results: CheckResult[]): Overall => worst(results.map(({ status }) => status));

/** @returns whether a line needs attention */
export const isBad = ({ status }: CheckResult) => status !== 'ok' && status !== 'not configured';

const LOOK = {
  ok: ['✓', 'green'],
  warning: ['!', 'yellow'],
  critical: ['✗', 'red'],
  unknown: ['?', 'yellow'],
  'not configured': ['–', 'dim'],
} as const satisfies Record<Status, unknown>;

const STATUS_WIDTH = '– not configured'.length;

interface Format {
  environment: string;
  verbose?: boolean;
  /** The width of the terminal; default: lines are not wrapped. */
  columns?: number;
  seconds: number;
}

/** @returns the report for people */
export function formatTable(
  results: CheckResult[],
  { environment, verbose, columns, seconds }: Format,
): string {
  const nameWidth = Math.max(...results.map(({ name }) => name.length));
  const indent = ' '.repeat(STATUS_WIDTH + nameWidth + 4);
  const width = (columns ?? Number.POSITIVE_INFINITY) - indent.length;
  const dim = (text: string) => styled('dim', text, process.stdout);
  const lines = results.flatMap(result => {
    const { status, name, message, hint, page } = result;
    const [symbol, style] = LOOK[status];
    const word = styled(style, `${symbol} ${status}`.padEnd(STATUS_WIDTH), process.stdout);
    const [first = '', ...rest] = wrap(message, width);
    const below = [
      ...(verbose ? [measurement(result)] : []),
      ...(isBad(result) ? [`→ docs/RUNBOOK.md#${page}`] : []),
    ];
    return [
      `${word}  ${name.padEnd(nameWidth)}  ${first}`,
      ...rest.map(line => indent + line),
      // Not wrapped: a command that is cut into lines can't be pasted.
      ...(verbose && hint ? [indent + dim(hint)] : []),
      ...below.flatMap(text => wrap(text, width)).map(line => indent + dim(line)),
    ];
  });
  return [...lines, '', summaryLine(results, environment, seconds)].join('\n');
}

function summaryLine(results: CheckResult[], environment: string, seconds: number): string {
  const overall = overallOf(results);
  const style = overall === 'ok' ? 'green' : overall === 'critical' ? 'red' : 'yellow';
  const counts = (['critical', 'warning', 'unknown', 'ok', 'not configured'] as const).flatMap(status => {
    const count = results.filter(result => result.status === status).length;
    return count > 0 ? [`${count} ${status}`] : [];
  });
  const word = styled(style, OVERALL[overall].word, process.stdout);
  return `${environment} is ${word}: ${counts.join(', ')}, in ${duration(seconds)}`;
}

function measurement({ value, unit, thresholds, ms }: CheckResult): string {
  const amount = (number: number) => (unit === 's' ? duration(number) : `${number} ${unit ?? ''}`.trim());
  const limits = thresholds
    ? `, warning at ${amount(thresholds.warning)}, critical at ${amount(thresholds.critical)}`
    : '';
  return `${value === undefined ? '' : `${amount(value)}${limits}; `}took ${ms} ms`;
}

/**
 * @returns the line that Nagios reads: status, what is wrong, and the measured values
 * @see https://nagios-plugins.org/doc/guidelines.html#AEN200
 */
export function formatNagios(results: CheckResult[]): string {
  const overall = overallOf(results);
  const bad = results.filter(isBad).map(({ name, message }) => `${name}: ${message}`);
  const values = results.flatMap(({ name, value, unit = '', thresholds }) => {
    if (value === undefined) return [];
    const lower = thresholds && thresholds.critical < thresholds.warning ? ':' : '';
    const limits = thresholds
      ? `;${Math.round(thresholds.warning)}${lower};${Math.round(thresholds.critical)}${lower}`
      : '';
    return [`'${name}'=${value}${unit}${limits}`];
  });
  const text = bad.join('; ') || `${plural(results.length, 'check')}, nothing wrong`;
  const measured = values.length > 0 ? `|${values.join(' ')}` : '';
  return `${OVERALL[overall].word} - ${nagiosText(text)}${measured}`;
}

/** @returns the text without line breaks and bars, which Nagios would take for its own */
export const nagiosText = (text: string) => text.replace(/\s+/g, ' ').replaceAll('|', '/');

/** @returns what --json prints */
export function jsonReport(environment: string | undefined, overall: Overall, results: CheckResult[]) {
  return {
    timestamp: new Date().toISOString(),
    environment,
    overall_status: OVERALL[overall].json,
    services: Object.fromEntries(results.map(({ name, page: _, faults: __, ...rest }) => [name, rest])),
  };
}
