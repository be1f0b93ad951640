import { duration, plural, styled } from '../core/format.ts';
import type { Result, Status } from './check.ts';

/** Overall, with the exit code that Nagios gives it and the word of the JSON. */
export const OVERALL = {
  ok: { code: 0, word: 'OK', json: 'healthy' },
  warning: { code: 1, word: 'WARNING', json: 'warning' },
  critical: { code: 2, word: 'CRITICAL', json: 'critical' },
  unknown: { code: 3, word: 'UNKNOWN', json: 'unknown' },
} as const;

export type Overall = keyof typeof OVERALL;

/** @returns the worst of all lines; one that is not configured is none */
export function overallOf(results: Result[]): Overall {
  const bad = (['critical', 'warning', 'unknown'] as const).find(status =>
    results.some(result => result.status === status),
  );
  return bad ?? 'ok';
}

export const isBad = ({ status }: Result) => status !== 'ok' && status !== 'not configured';

const LOOK = {
  ok: ['✓', 'green'],
  warning: ['!', 'yellow'],
  critical: ['✗', 'red'],
  unknown: ['?', 'yellow'],
  'not configured': ['–', 'dim'],
} as const satisfies Record<Status, unknown>;

const STATUS_WIDTH = '– not configured'.length;

interface Manner {
  environment: string;
  verbose?: boolean;
  /** Of the terminal; default: no line is broken. */
  columns?: number;
  seconds: number;
}

/** @returns the report for people: always in the same order, so that eyes learn it */
export function drawTable(results: Result[], { environment, verbose, columns, seconds }: Manner): string {
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
      ...(verbose ? [measured(result)] : []),
      ...(verbose && hint ? [hint] : []),
      ...(isBad(result) ? [`→ docs/RUNBOOK.md#${page}`] : []),
    ];
    return [
      `${word}  ${name.padEnd(nameWidth)}  ${first}`,
      ...rest.map(line => indent + line),
      ...below.flatMap(text => wrap(text, width)).map(line => indent + dim(line)),
    ];
  });
  return [...lines, '', lastLine(results, environment, seconds)].join('\n');
}

function lastLine(results: Result[], environment: string, seconds: number): string {
  const overall = overallOf(results);
  const style = overall === 'ok' ? 'green' : overall === 'critical' ? 'red' : 'yellow';
  const counts = (['critical', 'warning', 'unknown', 'ok', 'not configured'] as const).flatMap(status => {
    const count = results.filter(result => result.status === status).length;
    return count > 0 ? [`${count} ${status}`] : [];
  });
  const word = styled(style, OVERALL[overall].word, process.stdout);
  return `${environment} is ${word}: ${counts.join(', ')}, in ${duration(seconds)}`;
}

function measured({ value, unit, thresholds, ms }: Result): string {
  const amount = (number: number) => (unit === 's' ? duration(number) : `${number} ${unit ?? ''}`.trim());
  const limits = thresholds
    ? `, warning at ${amount(thresholds.warning)}, critical at ${amount(thresholds.critical)}`
    : '';
  return `${value === undefined ? '' : `${amount(value)}${limits}; `}took ${ms} ms`;
}

/** @returns lines of at most `width`, broken at spaces; a word that is longer stays whole */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= Math.max(width, 20))
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** @returns one line as Nagios reads it: the state, what is wrong, and the measured values */
export function drawNagios(results: Result[]): string {
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
  const text = bad.length > 0 ? bad.join('; ') : `${plural(results.length, 'check')}, nothing wrong`;
  return `${OVERALL[overall].word} - ${[nagiosText(text), ...(values.length > 0 ? [values.join(' ')] : [])].join('|')}`;
}

/** @returns a text without what has a meaning to Nagios: line breaks, and the bar before the values */
export const nagiosText = (text: string) => text.replace(/\s+/g, ' ').replaceAll('|', '/');

/** @returns the report for programs */
export function reportOf(environment: string | undefined, overall: Overall, results: Result[]) {
  return {
    timestamp: new Date().toISOString(),
    environment,
    overall_status: OVERALL[overall].json,
    services: Object.fromEntries(results.map(({ name, page: _, ...rest }) => [name, rest])),
  };
}
