/** The commands that load plain dumps, as argument arrays. */
import { DECOMPRESS } from '../backup/dump-commands.ts';
import type { DumpFrame } from '../backup/dump-frame.ts';
import { pipeline, scriptStage } from '../core/pipeline.ts';
import { toDatabase, WITH_CODES } from '../postgres/client.ts';
import type { OnError } from './load-commands.ts';

/*
 * What psql reads before a dump. `\restrict` refuses every command of psql, but up to 15.18 at least, psql still runs what
 * stands in back-quotes after `\unrestrict`: without new file descriptors it can start no program.
 */
const PROLOGUE = [
  '\\if `prlimit --pid "$PPID" --nofile=3:3 >&2 && echo true || echo false`',
  '\\else',
  '\\i psql-was-not-limited-by-prlimit',
  '\\endif',
];

/** How many lines psql reads before the first line of a dump. */
const PROLOGUE_LINES = PROLOGUE.length + 1;

/** How many lines psql reads at each end of the rows that are not the dump's, where it goes on after errors. */
const OUTSIDE_LINES = 4;

/** @returns the number in the dump of a line that psql reads */
export function lineInDump(read: number, rows?: RowsRange): number {
  const line = read - PROLOGUE_LINES;
  if (!rows || line < rows.firstLine) return line;
  if (line <= rows.lastLine + OUTSIDE_LINES) return Math.max(line - OUTSIDE_LINES, rows.firstLine - 1);
  return Math.max(line - 2 * OUTSIDE_LINES, rows.lastLine);
}

/** A part of what psql reads: bytes of the dump, with lines that are emptied; bytes left out, all but the last bytes, or text. */
type Piece = { pass: number; without?: string } | { skip: number } | { rest: number } | { text: string };

/** Whole lines of a plain dump that are not loaded. */
export interface Cut {
  /** In bytes, without the end of the last line. */
  start: number;
  end: number;
  /** The number of its first line, from 1, and how many there are. */
  line: number;
  lines: number;
  /** How many tables' rows are before it. */
  segment: number;
}

/** How long a script of sed may get: one argument has at most 128 KiB. */
const LONGEST_SCRIPT = 100_000;

/** Bash that puts pieces together: the first character of an argument says what it is. */
const FEED = `for piece in "$@"; do
  value=$\{piece#?}
  case $piece in
    +*) head -c "$value" ;;
    -*) head -c "$value" > /dev/null ;;
    =*) printf %s "$value" ;;
    /*) head -c "$\{value%%:*}" | sed -e "$\{value#*:}" ;;
    *%) head -c "-$\{piece%\\%}" ;;
  esac
done`;

function feed(pieces: Piece[]): string[] {
  const words = pieces.map(piece => {
    if ('text' in piece) return `=${piece.text}`;
    if ('rest' in piece) return `${piece.rest}%`;
    if ('pass' in piece && piece.without !== undefined) return `/${piece.pass}:${piece.without}`;
    return 'pass' in piece ? `+${piece.pass}` : `-${piece.skip}`;
  });
  return scriptStage(FEED, 'feed', ...words);
}

/** Where the rows of a plain dump begin and end, in bytes, and the numbers of their first and last line. */
export interface RowsRange {
  start: number;
  end: number;
  firstLine: number;
  lastLine: number;
}

/** The words that psql prints when it comes to the rows, behind them, and to the end. */
export const MARKS = { rows: 'rows', behind: 'behind-rows', end: 'end' };

/**
 * Loads a plain artifact that comes on stdin, without its own pair of `\restrict`. psql takes none of its own commands
 * from it.
 *
 * @param key letters and digits that whoever made the dump can't know
 * @param collect only an error in the rows ends it: after one psql would take the rest of the rows for statements. It prints
 *   the {@link MARKS} that it comes to
 * @param cuts what is left out
 */
export function plainRestore(
  database: string,
  frame: DumpFrame,
  key: string,
  {
    collect,
    cuts = [],
  }: { collect?: { rows: RowsRange | undefined } | undefined; cuts?: Cut[] | undefined } = {},
): string[] {
  const load = collect ? limited(psql(database, 'collect')) : psql(database, 'stop');
  return pipeline(DECOMPRESS.plain, feed(plainPieces(frame, key, cuts, collect)), load);
}

/** Runs statements that come on stdin, and goes on after errors. No text outside of quotes may be a command of psql. */
export function runStatements(database: string): string[] {
  return limited(psql(database, 'collect'));
}

function plainPieces(
  frame: DumpFrame,
  key: string,
  cuts: Cut[],
  collect?: { rows: RowsRange | undefined },
): Piece[] {
  /* A line for each: in later versions of psql the key of `\\unrestrict` is all that follows in its line. */
  const outside = (stop: 0 | 1, mark: string) =>
    [`\\unrestrict ${key}`, `\\set ON_ERROR_STOP ${stop}`, `\\echo ${mark}`, `\\restrict ${key}`].join('\n');
  const pieces: Piece[] = [{ text: [...PROLOGUE, `\\restrict ${key}`, ''].join('\n') }];
  let position = 0;
  let next = 0;
  const passTo = (end: number) => {
    while (next < cuts.length && cuts[next]!.end <= end) {
      if (cuts[next]!.start < position) {
        next++; // a line that looks like rows is in it
        continue;
      }
      const group = cutsTogether(cuts, next, end);
      if (group.start > position) pieces.push({ pass: group.start - position });
      pieces.push({ pass: group.end - group.start, without: group.script });
      position = group.end;
      next = group.next;
    }
    if (end > position) pieces.push({ pass: end - position });
    position = end;
  };
  if (frame.restrict) {
    passTo(frame.restrict.start);
    pieces.push({ skip: frame.restrict.bytes });
    position += frame.restrict.bytes;
  }
  if (collect?.rows) {
    // At the end of the line before: psql looks at ON_ERROR_STOP when it begins a line.
    passTo(collect.rows.start - 1);
    pieces.push({ text: `\n${outside(1, MARKS.rows)}` });
    passTo(collect.rows.end);
    pieces.push({ text: `${outside(0, MARKS.behind)}\n` });
  }
  if (next < cuts.length) passTo(cuts.at(-1)!.end);
  pieces.push({ rest: frame.trailerBytes });
  if (collect) pieces.push({ text: `\n\\unrestrict ${key}\n\\echo ${MARKS.end}\n` });
  return pieces;
}

/** As many cuts as one program leaves out, which keeps the numbers of the other lines. */
function cutsTogether(cuts: Cut[], first: number, limit: number) {
  const { start, line, segment } = cuts[first]!;
  let next = first;
  let script = '';
  while (next < cuts.length && script.length < LONGEST_SCRIPT) {
    const cut = cuts[next]!;
    if (cut.segment !== segment || cut.end > limit) break; // rows are passed on by themselves
    const from = cut.line - line + 1;
    script += `${from},${from + cut.lines - 1}s/.*//;`;
    next++;
  }
  return { start, end: cuts[next - 1]!.end, script, next };
}

function psql(database: string, onError: OnError): string[] {
  return [
    'psql',
    '--no-psqlrc',
    '--quiet',
    '--output=/dev/null',
    `--set=ON_ERROR_STOP=${onError === 'stop' ? 1 : 0}`,
    WITH_CODES,
    '--echo-errors',
    '--no-password',
    '--file=-',
    `--dbname=${toDatabase(database)}`,
  ];
}

/** Ends a program that writes more than 1 MB of errors, which this process would keep in memory. */
function limited(argv: string[]): string[] {
  const status = '$' + '{PIPESTATUS[0]}';
  const script = `{ "$@" 2>&1 >&3 | head -c 1000000 >&2; exit "${status}"; } 3>&1`;
  return scriptStage(script, argv[0]!, ...argv);
}

/** Prints the first line that begins the rows of a table and the last that ends them: number, position in bytes, text. */
export function findRows(): string[] {
  const rows = "grep -abnE '^(COPY .* FROM stdin;|\\\\\\.)\r?$' || [ $? = 1 ]";
  const ends = '/:COPY/ && !found { found = 1; print } /:\\\\/ { last = $0 } END { print last }';
  return pipeline(DECOMPRESS.plain, scriptStage(rows), ['awk', ends]);
}
