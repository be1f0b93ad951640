/** The commands that load custom dumps, as argument arrays. */
import { DECOMPRESS, type Without } from '../backup/dump-commands.ts';
import { pipeline, scriptStage } from '../core/pipeline.ts';
import { toDatabase } from '../postgres/client.ts';

/** What a load does after an error: `collect` goes on, and says all of them. */
export type OnError = 'stop' | 'collect';

/**
 * Writes the decompressed artifact to `path`: in the container, if PostgreSQL's programs run there. Fails if it has more
 * than `limit` bytes: no manifest has that size.
 */
export function decompressTo(path: string, limit: number): string[] {
  const script = 'umask 077; ulimit -f "$1"; shift; "$@" > "$0"';
  return ['bash', '-c', script, path, String(Math.floor(limit / 1024)), ...DECOMPRESS.custom];
}

/** Loads a decompressed `custom` artifact with several connections at once. */
export function parallelRestore(
  database: string,
  onError: OnError,
  path: string,
  { jobs, ...what }: { jobs: number } & What,
): string[] {
  return withList([...pgRestore(database, onError, what.without), `--jobs=${jobs}`, path], what.entries);
}

/** Loads a `custom` artifact that comes on stdin, with one connection. */
export function streamRestore(database: string, onError: OnError, { without, entries }: What = {}): string[] {
  return pipeline(DECOMPRESS.custom, withList(pgRestore(database, onError, without), entries));
}

/** What is loaded of a custom dump: all of it but `without`, or these entries of its table of contents. */
interface What {
  without?: Without | undefined;
  entries?: string[] | undefined;
}

/** How many of the numbers of entries are in one argument, of which none may have more than 128 KiB. */
const ENTRIES_PER_WORD = 10_000;

/** @returns a command of pg_restore that takes these entries only; undefined: all */
export function withList(argv: string[], entries: string[] | undefined): string[] {
  if (!entries) return argv;
  const chunks = Array.from({ length: Math.ceil(entries.length / ENTRIES_PER_WORD) }, (_, index) =>
    entries
      .slice(index * ENTRIES_PER_WORD, (index + 1) * ENTRIES_PER_WORD)
      .map(entry => `${entry};\n`)
      .join(''),
  );
  const [first, all] = ['$' + '{@:1:n}', '$' + '{list[@]}'];
  const script = `n=$1; shift; list=("${first}"); shift "$n"; "$@" --use-list=<(printf %s "${all}")`;
  return scriptStage(script, argv[0]!, String(chunks.length), ...chunks, ...argv);
}

function pgRestore(database: string, onError: OnError, { owners, tablespaces }: Without = {}): string[] {
  return [
    'pg_restore',
    ...(onError === 'stop' ? ['--exit-on-error'] : []),
    ...(owners ? ['--no-owner', '--no-acl'] : []),
    ...(tablespaces ? ['--no-tablespaces'] : []),
    '--no-password',
    `--dbname=${toDatabase(database)}`,
  ];
}
