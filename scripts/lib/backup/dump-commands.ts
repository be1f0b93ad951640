/** The commands of dumps and loads, as argument arrays. */
import { pipeline } from '../core/pipeline.ts';
import { toDatabase, WITH_CODES } from '../postgres/client.ts';
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

/**
 * pg_dump of one exported snapshot through the compressor, on stdout.
 * @param lockWait the longest wait for a lock, in seconds
 */
export function dumpPipeline(database: string, format: Format, snapshot: string, lockWait: number): string[] {
  const pgDump = [
    'pg_dump',
    `--format=${format}`,
    ...(format === 'custom' ? ['--compress=0'] : []),
    '--no-owner',
    '--no-acl',
    '--no-password',
    `--lock-wait-timeout=${lockWait + 30}s`, // where nobody watches its locks: those who do name the holder
    `--snapshot=${snapshot}`,
    `--dbname=${toDatabase(database)}`,
  ];
  return pipeline(pgDump, COMPRESS[format]);
}

/** Roles and their settings: they belong to the server, and pg_dump leaves them out. `maintenance`: where it connects. */
export function globalsPipeline(maintenance: string): string[] {
  const database = `--database=${toDatabase(maintenance)}`;
  const pgDumpall = ['pg_dumpall', '--globals-only', '--no-role-passwords', '--no-password', database];
  return pipeline(pgDumpall, COMPRESS.plain);
}

/** Decodes a whole artifact as a restore does, and discards it. */
export function decodePipeline(format: Format): string[] {
  return format === 'plain'
    ? pipeline(DECOMPRESS.plain, ['tail', '-c', '2048'])
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

/** Loads an artifact that comes on stdin, with one connection. */
export function streamRestore(database: string, format: Format): string[] {
  const psql = [
    'psql',
    '--no-psqlrc',
    '--quiet',
    '--output=/dev/null',
    '--set=ON_ERROR_STOP=1',
    WITH_CODES,
    '--no-password',
  ];
  const load = format === 'plain' ? [...psql, `--dbname=${toDatabase(database)}`] : pgRestore(database);
  return pipeline(DECOMPRESS[format], load);
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
