/**
 * Entries as a person reads them, or as JSON. What a log holds was written by visitors: nothing of it may reach a terminal
 * that the terminal obeys.
 */
import { printable, styled } from '../core/format.ts';
import { redact } from '../core/redact.ts';
import type { Entry, Request } from './entry.ts';

/** Characters that are shown of one field, and of one line of text. */
const FIELD = 200;
const TEXT = 2000;

/** @returns text that a terminal only shows, in one line; a longer one is cut */
function safe(text: string, length: number): string {
  const shown = printable(redact(text.length > 8 * length ? text.slice(0, 8 * length) : text));
  return shown.length > length ? `${shown.slice(0, length - 1)}…` : shown;
}

/** @param services how many are shown: the name of the only one is left out */
export function lineOf(entry: Entry, services: number): string {
  const { service, time, request, fields, text } = entry;
  const name = services > 1 ? `${service.padEnd(10)} ` : '';
  if (request) return `${clock(request.time, time)} ${name}${requestLine(request)}`;
  const said = fields ? fieldsLine(fields) : safe(text!, TEXT);
  return `${clock('', time)} ${name}${said}`;
}

/** A time in UTC, to the second; that of Docker, if a program has written another thing than a time. */
function clock(own: string, docker: string): string {
  const time = new Date(/^\d{4}-\d\d-\d\dT/.test(own) ? own : docker);
  if (Number.isNaN(time.getTime())) return '----------  --:--:--';
  return time.toISOString().slice(0, 19).replace('T', ' ');
}

function requestLine(request: Request): string {
  const { client, method, host, path, status, seconds, upstream, upstreamStatus, agent } = request;
  const tried = upstreamStatus.includes(',') ? ` (${safe(upstreamStatus, FIELD)})` : '';
  const parts = [
    styled(colourOf(status), `${status}`, process.stdout),
    safe(method, 20).padEnd(4),
    `${safe(host, FIELD)}${safe(path, FIELD)}`,
    `${seconds.toFixed(3)} s`,
    safe(client, 50),
    upstream ? `→ ${safe(upstream, FIELD)}${tried}` : '(not passed on)',
    styled('dim', safe(agent, 80), process.stdout),
  ];
  return parts.join('  ').trimEnd();
}

function colourOf(status: number) {
  if (status >= 500) return 'red';
  return status >= 400 ? 'yellow' : 'green';
}

/** The levels of pino: https://getpino.io/#/docs/api?id=level-string */
const LEVELS: Record<number, string> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};
/** Fields that each line has, or that are shown before the others. */
const USUAL = ['time', 'timestamp', 'ts', 'level', 'msg', 'message', 'pid', 'hostname', 'v'];

function fieldsLine(fields: Record<string, unknown>): string {
  const { level, msg, message } = fields;
  const name = typeof level === 'number' ? (LEVELS[level] ?? `${level}`) : asText(level ?? '');
  const rest = Object.entries(fields)
    .filter(([key]) => !USUAL.includes(key))
    .map(([key, value]) => `${safe(key, 40)}=${safe(asText(value), FIELD)}`);
  const colour = /^(error|fatal|critical)$/i.test(name) ? 'red' : /^warn/i.test(name) ? 'yellow' : 'dim';
  const level_ = name && styled(colour, safe(name, 20).padEnd(5), process.stdout);
  const line = [
    level_,
    safe(asText(msg ?? message ?? ''), TEXT),
    styled('dim', rest.join(' '), process.stdout),
  ];
  return line.filter(Boolean).join(' ');
}

const asText = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? '');

/** @returns a value as one line of JSON that a terminal obeys nothing of, and that is the same value */
export function jsonLine(value: object): string {
  return redact(JSON.stringify(value)).replaceAll(/[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu, character =>
    character
      .split('')
      .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
