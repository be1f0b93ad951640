import { randomBytes } from 'node:crypto';
import type { DumpFrame } from '../backup/dump-frame.ts';
import type { Postgres } from '../config/config.ts';
import { OperationalError, verificationError } from '../core/errors.ts';
import { CommandError } from '../core/shell.ts';
import { runFromFile, startFromFile } from '../postgres/redirect.ts';
import type { OnError } from './load-commands.ts';
import { canBeAccepted, isUnknownSetting, type LoadError, psqlErrors } from './load-errors.ts';
import { type Cut, findRows, lineInDump, MARKS, plainRestore, type RowsRange } from './plain-commands.ts';

interface LoadOptions {
  purpose: string;
  state?: string;
  settings: string;
  until?: AbortSignal;
  /** What is not loaded. */
  cuts?: Cut[];
}

/** What psql says of a command of its own in a dump, and with another key than ours. */
const REFUSED_COMMAND = /^psql:<stdin>:(\d+): error: (?:backslash commands are restricted|\\unrestrict: )/m;

/**
 * Loads a plain dump with psql's `\restrict`: a dump of one database has no commands of psql, and a forged one could
 * run programs or connect to the live database with them.
 *
 * @param onError `collect` goes on after errors, except in the rows of tables
 * @returns with `collect`, all errors, to the first in rows
 * @throws exit code 3 for a command of psql; CommandError at the first error with `stop`, and where psql ends otherwise with
 *   `collect`; OperationalError where it is not clear which parts of the dump are rows
 */
export async function loadPlain(
  postgres: Postgres,
  path: string,
  frame: DumpFrame,
  name: string,
  onError: OnError,
  { cuts, ...options }: LoadOptions,
): Promise<LoadError[]> {
  const collect = onError === 'collect' ? { rows: await rowsOf(postgres, path) } : undefined;
  const rows = collect?.rows;
  const key = randomBytes(16).toString('hex');
  let output: { stdout: string; stderr: string };
  try {
    const argv = plainRestore(name, frame, key, { collect, cuts });
    output = await startFromFile(postgres, argv, path, options);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    refuseCommands(path, error.stderr, rows);
    const errors = collect ? numbered(psqlErrors(error.stderr), rows) : [];
    const last = errors.at(-1);
    if (!last || isUnknownSetting(last) || canBeAccepted(last)) throw error; // psql ended for another reason
    return errors;
  }
  if (!collect) return [];
  refuseCommands(path, output.stderr, rows);
  const expected = rows ? [MARKS.rows, MARKS.behind, MARKS.end] : [MARKS.end];
  if (output.stdout.trim() !== expected.join('\n')) {
    throw new OperationalError(
      `${path} can't be loaded past its first error: some of its text looks like rows of a table`,
      'the live database is unchanged. Load it with psql into another server, correct it, and dump the database there.',
    );
  }
  return numbered(psqlErrors(output.stderr), rows);
}

/** With the numbers of a dump's own lines. */
function numbered(errors: LoadError[], rows: RowsRange | undefined): LoadError[] {
  return errors.map(error => ({ ...error, line: lineInDump(error.line!, rows) }));
}

function refuseCommands(path: string, stderr: string, rows?: RowsRange): void {
  const line = REFUSED_COMMAND.exec(stderr)?.[1];
  if (line === undefined) return;
  throw verificationError(
    `${path} has a command of psql in line ${lineInDump(Number(line), rows)}, which no dump of one database has`,
    'the live database is unchanged. Find out where the file comes from before anything else reads it.',
  );
}

/** @returns from the first line that begins rows to behind the last one that ends them; undefined: there are none */
async function rowsOf(postgres: Postgres, path: string): Promise<RowsRange | undefined> {
  const text = await runFromFile(postgres, findRows(), path, { purpose: `look for rows in ${path}` });
  const lines = text.split('\n').flatMap(line => {
    const [, number, offset, content] = /^(\d+):(\d+):(.*)$/.exec(line) ?? [];
    return offset === undefined ? [] : [{ line: Number(number), start: Number(offset), text: content! }];
  });
  const first = lines.find(line => line.text.startsWith('COPY '));
  const last = lines.at(-1);
  if (first?.start === 0) return undefined; // no program writes this, and nothing is before it to go on after
  if (!first || !last) return undefined;
  const end = last.start + last.text.length + 1;
  return { start: first.start, end, firstLine: first.line, lastLine: last.line };
}
