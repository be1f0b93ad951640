/** The commands of dumps and loads, as argument arrays. */
import { pipeline } from '../core/pipeline.ts';
import { toDatabase } from '../postgres/client.ts';
import { type DumpFrame, FRAME_BYTES } from './dump-frame.ts';
import type { Format } from './manifest.ts';

/*
 * custom is compressed by zstd outside pg_dump: as fast as no compression at all, where pg_dump 15's own
 * gzip takes twice the time. plain is gzip, which any machine can read.
 */
export const COMPRESS: Record<Format, string[]> = {
  plain: ['gzip', '-5', '-n'],
  custom: ['zstd', '-q', '-1', '-T0', '-c'],
};
export const DECOMPRESS: Record<Format, string[]> = { plain: ['gzip', '-dc'], custom: ['zstd', '-q', '-dc'] };

/** pg_dump of one exported snapshot through the compressor, on stdout. */
export function dumpPipeline(database: string, format: Format, snapshot: string): string[] {
  const pgDump = [
    'pg_dump',
    `--format=${format}`,
    ...(format === 'custom' ? ['--compress=0'] : []),
    '--no-owner',
    '--no-acl',
    '--no-password',
    '--lock-wait-timeout=60s', // a backup must not wait forever for an ALTER TABLE
    `--snapshot=${snapshot}`,
    `--dbname=${toDatabase(database)}`,
  ];
  return pipeline(pgDump, COMPRESS[format]);
}

/** Roles and their settings: they belong to the server, and pg_dump leaves them out. */
export function globalsPipeline(): string[] {
  return pipeline(['pg_dumpall', '--globals-only', '--no-role-passwords', '--no-password'], COMPRESS.plain);
}

/** Decodes a whole artifact as a restore does, and discards it, but for both ends of a plain dump. */
export function decodePipeline(format: Format): string[] {
  const ends = `head -c ${FRAME_BYTES}; tail -c ${FRAME_BYTES}`;
  return format === 'plain'
    ? pipeline(DECOMPRESS.plain, ['bash', '-c', ends])
    : pipeline(DECOMPRESS.custom, ['pg_restore', '--file=/dev/null']);
}

/** Writes the decompressed artifact to `path`: in the container, if PostgreSQL's programs run there. */
export function decompressTo(path: string): string[] {
  return ['bash', '-c', 'umask 077; exec "$@" > "$0"', path, ...DECOMPRESS.custom];
}

/** Loads a decompressed `custom` artifact with several connections at once. */
export function parallelRestore(database: string, path: string, jobs: number): string[] {
  return [...pgRestore(database), `--jobs=${jobs}`, path];
}

/** Loads a `custom` artifact that comes on stdin, with one connection. */
export function streamRestore(database: string): string[] {
  return pipeline(DECOMPRESS.custom, pgRestore(database));
}

/*
 * What psql reads before a dump. `\restrict` refuses every command of psql, but up to 15.18 at least, psql still runs what
 * stands in back-quotes after `\unrestrict`: without new file descriptors it can start no program.
 */
const PROLOGUE = [
  '\\if `prlimit --pid "$PPID" --nofile=3:3 >&2 && echo true || echo false`',
  '\\else',
  '\\i psql-was-not-limited-by-prlimit',
  '\\endif',
  '\\restrict',
];

/** How many lines psql reads before the first line of a dump. */
export const PROLOGUE_LINES = PROLOGUE.length;

/** Bash: the prologue, then stdin without its own pair of `\restrict`, by position. It keeps the numbers of the lines. */
const RESTRICTED = [
  `printf '%s\\n' ${PROLOGUE.map(line => `'${line}'`).join(' ')}" $1"`,
  'for ((n = 1; n < $2; n++)); do IFS= read -r line && echo "$line"; done',
  'if (($2)); then read -r line; echo; exec head -c "-$3"; fi',
  'exec cat',
].join('\n');

/**
 * Loads a plain artifact that comes on stdin. psql takes none of its own commands from it.
 * @param key letters and digits that whoever made the dump can't know
 */
export function plainRestore(database: string, frame: DumpFrame, key: string): string[] {
  const { restrictLine, trailerBytes } = frame;
  const feed = ['bash', '-c', RESTRICTED, 'restricted', key, `${restrictLine}`, `${trailerBytes}`];
  const psql = [
    'psql',
    '--no-psqlrc',
    '--quiet',
    '--output=/dev/null',
    '--set=ON_ERROR_STOP=1',
    '--no-password',
    '--file=-',
    `--dbname=${toDatabase(database)}`,
  ];
  return ['env', 'LC_ALL=C', ...pipeline(DECOMPRESS.plain, feed, psql)];
}

function pgRestore(database: string): string[] {
  return [
    'pg_restore',
    '--exit-on-error',
    '--no-owner',
    '--no-acl',
    '--no-password',
    `--dbname=${toDatabase(database)}`,
  ];
}
