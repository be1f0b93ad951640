/** Takes apart what a program wrote to stderr. It knows the forms of PostgreSQL's programs and of its server. */

import { redact } from './redact.ts';

/** Begins the line in which a pipe reports the exit status of each program. */
export const STATUSES = 'exit statuses of ';

/** Lines shown of one message, and of one of its fields, such as CONTEXT. */
const MESSAGE_LINES = 10;
const FIELD_LINES = 3;
/** Characters shown of one line. */
const LINE_LENGTH = 300;

const ERROR = /\b(error|fatal|panic):/i;
const WARNING = /^(?:psql:.*?:\d+: )?WARNING: +(?:[0-9A-Z]{5}: )?|^(?=(?:[\w./-]+: )?warning: )/;
const NOTICE = /^(?:psql:.*?:\d+: )?(?:NOTICE|INFO|LOG|DEBUG): /;
/** PostgreSQL cut a name to 63 bytes: a notice that matters (name_too_long). */
const CUT_NAME = /^(?:psql:.*?:\d+: )?NOTICE: +42622: /;
/** The first line of a field of a message. */
const FIELD =
  /^(?:DETAIL|HINT|CONTEXT|QUERY|STATEMENT|LINE \d+|[A-Z]+ NAME|LOCATION|Command was): |^[\w./-]+: (?:detail|hint): /;
/** Fields for the developers of PostgreSQL, and names that the message itself has. */
const NOT_SHOWN = /^(?:LOCATION|[A-Z]+ NAME): /;
/** Fields that can hold data and statements of the application. */
const QUOTING =
  /^(?:DETAIL|CONTEXT|QUERY|STATEMENT|LINE \d+|Command was): |^[\w./-]+: detail: (?!Error message)/i;
const FROM_SERVER = /Error message from server: +(.*)$/i;

/** @returns an output without the lines of pipes */
export function withoutStatuses(stderr: string): string {
  return stderr.replaceAll(new RegExp(`^${STATUSES}.*\n?`, 'gm'), '');
}

interface Message {
  kind: 'error' | 'warning' | 'notice' | 'other';
  lines: string[];
}

function messagesOf(stderr: string): Message[] {
  const messages: Message[] = [];
  for (const line of stderr.split('\n')) {
    if (line.trim() === '' || line.startsWith(STATUSES)) continue;
    const last = messages.at(-1);
    const continues = FIELD.test(line) || /^\s/.test(line);
    if (WARNING.test(line)) messages.push({ kind: 'warning', lines: [line] });
    else if (CUT_NAME.test(line)) messages.push({ kind: 'warning', lines: [line.replace(CUT_NAME, '')] });
    else if (NOTICE.test(line)) messages.push({ kind: 'notice', lines: [line] });
    else if (last && continues) last.lines.push(line);
    else if (ERROR.test(line)) messages.push({ kind: 'error', lines: [line] });
    else if (last?.kind === 'error') last.lines.push(line);
    else messages.push({ kind: 'other', lines: [line] });
  }
  return messages;
}

/** @returns at most {@link FIELD_LINES} lines of each field, at most {@link MESSAGE_LINES} of all */
function shorten(lines: string[]): string[] {
  let ofField = 0;
  const shown: string[] = [];
  for (const line of lines) {
    ofField = FIELD.test(line) ? 1 : ofField + 1;
    if (ofField <= FIELD_LINES) {
      const whole = redact(line); // a secret that is cut would no longer be found
      shown.push(whole.length > LINE_LENGTH ? `${whole.slice(0, LINE_LENGTH - 1)}…` : whole);
    } else if (shown.at(-1) !== '…') shown.push('…');
  }
  return shown.length > MESSAGE_LINES ? [...shown.slice(0, MESSAGE_LINES - 1), '…'] : shown;
}

interface Failure {
  /** One line; undefined: the program wrote nothing. */
  summary?: string;
  /** The lines after it, such as DETAIL, HINT and CONTEXT, shortened. */
  details: string[];
}

/** @returns the first error of an output with all that follows it; without an error, the last line */
export function failureIn(stderr: string): Failure {
  const messages = messagesOf(stderr).filter(({ kind }) => kind === 'error' || kind === 'other');
  const first = messages.findIndex(({ kind }) => kind === 'error');
  const [headline, ...rest] = messages.slice(first).flatMap(({ lines }) => lines);
  if (headline === undefined) return { details: [] };
  // pg_dump's own line says that a function of libpq failed, and the next one why.
  const why = FROM_SERVER.test(headline) ? undefined : rest.find(line => FROM_SERVER.test(line));
  const reason = why && FROM_SERVER.exec(why)![1];
  const [line = ''] = shorten([headline.trim()]);
  return {
    summary: reason ? `${line.replace(/\.$/, '')}: ${reason}` : line,
    details: shorten(
      rest
        .filter(each => each !== why && !NOT_SHOWN.test(each))
        .map(each => each.replace(/^\t+/, '').trimEnd()),
    ),
  };
}

/** @returns the warnings of an output, each with its detail and hint; also of a program that exits with 0 */
export function warningsIn(stderr: string): string[] {
  return messagesOf(stderr)
    .filter(({ kind }) => kind === 'warning')
    .map(({ lines }) =>
      shorten(lines.filter(line => !NOT_SHOWN.test(line)))
        .join('\n')
        .replace(WARNING, '')
        .replace(/^([\w./-]+: )?warning: /, '$1'),
    );
}

/**
 * @returns the code of the first error, where a program wrote one: psql with VERBOSITY=verbose, Prisma
 * @see https://www.postgresql.org/docs/15/errcodes-appendix.html
 */
export function sqlStateIn(stderr: string): string | undefined {
  const [, server, prisma] =
    /\b(?:ERROR|FATAL|PANIC): +([0-9A-Z]{5}): |^Database error code: ([0-9A-Z]{5})$/m.exec(stderr) ?? [];
  return server ?? prisma;
}

/** @returns what an output says of the failure, without warnings and without fields that quote data or statements */
export function evidenceIn(stderr: string): string {
  let quoting = false;
  const lines: string[] = [];
  for (const message of messagesOf(stderr)) {
    if (message.kind === 'warning' || message.kind === 'notice') continue;
    quoting = false;
    for (const line of message.lines) {
      if (FIELD.test(line)) quoting = QUOTING.test(line);
      if (!quoting) lines.push(line);
    }
  }
  return lines.join('\n');
}
