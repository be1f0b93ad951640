/** The commands of dumps, as argument arrays. */
import type { Postgres } from '../config/config.ts';
import { word } from '../core/command-line.ts';
import { pipeline, scriptStage } from '../core/pipeline.ts';
import { toDatabase } from '../postgres/client.ts';
import { FRAME_BYTES } from './dump-frame.ts';
import type { Format } from './manifest.ts';

/** What a restore leaves out of a dump. */
export interface Without {
  /** Owners, privileges and default privileges. */
  owners?: boolean;
  tablespaces?: boolean;
}

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
  return pipeline(pgDump(database, format, lockWait, snapshot), COMPRESS[format]);
}

function pgDump(database: string, format: Format, lockWait: number, snapshot?: string): string[] {
  return [
    'pg_dump',
    `--format=${format}`,
    ...(format === 'custom' ? ['--compress=0'] : []),
    '--no-password',
    `--lock-wait-timeout=${lockWait + 30}s`, // where nobody watches its locks: those who do name the holder
    ...(snapshot === undefined ? [] : [`--snapshot=${snapshot}`]),
    `--dbname=${toDatabase(database)}`,
  ];
}

/** Roles and their settings: they belong to the server, and pg_dump leaves them out. `maintenance`: where it connects. */
export function globalsPipeline(maintenance: string): string[] {
  return pipeline(pgDumpall(maintenance), COMPRESS.plain);
}

function pgDumpall(maintenance: string): string[] {
  return [
    'pg_dumpall',
    '--globals-only',
    '--no-role-passwords',
    '--encoding=UTF8',
    '--no-password',
    `--database=${toDatabase(maintenance)}`,
  ];
}

/**
 * @returns commands to paste that make the same files in the working directory, without the snapshot that both share; on
 *   this host they need PGPASSWORD where the server asks for a password
 */
export function pasteableDump(
  { database, ...server }: Postgres,
  maintenance: string,
  format: Format,
  lockWait: number,
): string[] {
  const { container, host, port, user } = server;
  const place = container ? ['docker', 'exec', container] : [];
  const address = [`--username=${user}`, ...(container ? [] : addressOf(host, port))];
  const line = ([program = '', ...args]: string[], compress: string[], file: string) =>
    `${[...place, program, ...address, ...args].map(word).join(' ')} | ${compress.join(' ')} > ${word(file)}`;
  const suffix = format === 'plain' ? 'sql.gz' : 'dump.zst';
  return [
    line(pgDump(database, format, lockWait), COMPRESS[format], `${database}.${suffix}`),
    line(pgDumpall(maintenance), COMPRESS.plain, 'globals.sql.gz'),
  ];
}

const addressOf = (host?: string, port?: number) => [
  ...(host ? [`--host=${host}`] : []),
  ...(port ? [`--port=${port}`] : []),
];

/** Decodes a whole artifact as a restore does, and discards it, except both ends of a plain dump. */
export function decodePipeline(format: Format): string[] {
  const ends = `head -c ${FRAME_BYTES}; tail -c ${FRAME_BYTES}`;
  return format === 'plain'
    ? pipeline(DECOMPRESS.plain, scriptStage(ends))
    : pipeline(DECOMPRESS.custom, ['pg_restore', '--file=/dev/null']);
}
