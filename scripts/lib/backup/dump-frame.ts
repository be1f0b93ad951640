/** What the first and the last lines of a plain dump say. Everything between them is data, and is not judged. */

/** The lines around the statements of a plain dump. */
export interface DumpFrame {
  /** Whether it creates, drops or connects to databases, as pg_dumpall and `pg_dump --create` make it. */
  databases: boolean;
  /** Where the dump's own `\restrict` stands, in bytes, without the end of its line; null: there is none. */
  restrict: { start: number; bytes: number } | null;
  /** Bytes from the matching `\unrestrict` to the end of the dump. */
  trailerBytes: number;
}

/** How many bytes of both ends hold the frame. */
export const FRAME_BYTES = 4096;

/** One of the last lines of pg_dump and pg_dumpall; `\unrestrict` may follow since 15.14. */
const COMPLETE = /^-- PostgreSQL database (cluster )?dump complete\r?$/m;

/** Lines that may come before the first statement: comments, `\restrict`, settings. */
const HEADER_LINE =
  /^(--[ -~]*|SET \w+ = [^;]*;|SELECT pg_catalog\.set_config\([^;]*\);|\\restrict \w+|)\r?$/;

/**
 * Reads the frame of a plain dump. PostgreSQL's own programs put a pair of `\restrict` and `\unrestrict` around a dump:
 * https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-META-COMMAND-RESTRICT
 *
 * @param text the first and the last {@link FRAME_BYTES} of a dump
 * @returns the frame, or what is wrong with it
 */
export function readFrame(text: string): DumpFrame | string {
  if (!COMPLETE.test(text)) return 'the last line of the dump is missing';
  const lines = text.split('\n');
  const end = lines.findIndex(line => !HEADER_LINE.test(line));
  const header = end === -1 ? lines : lines.slice(0, end);
  const databases =
    header.some(line => line.startsWith('-- PostgreSQL database cluster dump')) ||
    /^(CREATE DATABASE|DROP DATABASE|\\connect) /.test(lines[end] ?? '') ||
    // An end of its restrictions, after which something comes.
    (/^\\unrestrict /.test(lines[end] ?? '') &&
      lines
        .slice(end + 1)
        .join('')
        .trim() !== '');
  if (databases) return { databases, restrict: null, trailerBytes: 0 };
  const restrict = header.findIndex(line => line.startsWith('\\restrict '));
  if (restrict === -1) return { databases, restrict: null, trailerBytes: 0 };
  const line = lines[restrict]!;
  const [, key] = line.trimEnd().split(' ');
  const last = text.lastIndexOf(`\n\\unrestrict ${key}`) + 1;
  const trailer = text.slice(last);
  if (last === 0 || trailer.trim() !== `\\unrestrict ${key}`)
    return `its \\restrict in line ${restrict + 1} has no matching \\unrestrict at its end`;
  const start = header.slice(0, restrict).join('\n').length + 1;
  return { databases, restrict: { start, bytes: line.length }, trailerBytes: trailer.length };
}
