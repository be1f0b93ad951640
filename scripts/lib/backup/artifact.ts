import { open } from 'node:fs/promises';
import type { Postgres } from '../config/config.ts';
import { messageOf, usageError, verificationError } from '../core/errors.ts';
import { sha256, sizeOf } from '../core/files.ts';
import { bytes } from '../core/format.ts';
import { pipeline } from '../core/pipeline.ts';
import { type RunOptions, run } from '../core/shell.ts';
import { interrupt } from '../core/signals.ts';
import { client, programVersion, toDatabase } from '../postgres/client.ts';
import type { Format, Manifest } from './manifest.ts';

/*
 * custom is compressed by zstd outside pg_dump: as fast as no compression at all, where pg_dump 15's own
 * gzip takes twice the time. plain is gzip, which any machine can read.
 */
const COMPRESS: Record<Format, string[]> = {
  plain: ['gzip', '-5', '-n'],
  custom: ['zstd', '-q', '-1', '-T0', '-c'],
};
const DECOMPRESS: Record<Format, string[]> = { plain: ['gzip', '-dc'], custom: ['zstd', '-q', '-dc'] };

/** How the last lines of a whole pg_dump and pg_dumpall look; `\unrestrict` may follow since 15.14. */
const TRAILER = /^-- PostgreSQL database (cluster )?dump complete$/m;

/** pg_dump of one exported snapshot through the compressor, on stdout. */
export function dumpPipeline(database: string, format: Format, snapshot: string): string[] {
  const pgDump = [
    'pg_dump',
    `--format=${format}`,
    ...(format === 'custom' ? ['--compress=0'] : []),
    '--no-owner',
    '--no-acl',
    '--no-password',
    '--lock-wait-timeout=60s', // an ALTER TABLE under way must not hold up the backup for ever
    `--snapshot=${snapshot}`,
    `--dbname=${toDatabase(database)}`,
  ];
  return pipeline(pgDump, COMPRESS[format]);
}

/** Roles and their settings, which belong to the server and are in no database's dump. */
export function globalsPipeline(): string[] {
  return pipeline(['pg_dumpall', '--globals-only', '--no-role-passwords', '--no-password'], COMPRESS.plain);
}

/** Reads a whole artifact as a restore would, but keeps nothing: every block is decoded. */
function decodePipeline(format: Format): string[] {
  return format === 'plain'
    ? pipeline(DECOMPRESS.plain, ['tail', '-c', '2048'])
    : pipeline(DECOMPRESS.custom, ['pg_restore', '--file=/dev/null']);
}

/** Writes the decompressed artifact to `path`, on the side where PostgreSQL's programs run. */
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

/** @returns the compressor's name and version where dumps run */
export async function compressorVersion(postgres: Postgres, format: Format): Promise<string> {
  const name = COMPRESS[format][0]!;
  return `${name} ${await programVersion(postgres, name)}`;
}

/** Runs a client command with a file as its stdin. */
export async function readingFile(
  postgres: Postgres,
  argv: string[],
  path: string,
  options: RunOptions & { settings?: string },
): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const { argv: whole, env } = client(postgres, argv, options.settings);
    return await run(whole, { timeout: Number.POSITIVE_INFINITY, ...options, env, stdin: handle.fd });
  } finally {
    await handle.close();
  }
}

/** Runs a client command with a new file, readable by its owner only, as its stdout. */
export async function writingFile(
  command: { argv: string[]; env: Record<string, string | undefined>; stdin?: 'lifeline' },
  path: string,
  options: Omit<RunOptions, 'env' | 'stdin' | 'stdout'>,
): Promise<void> {
  const handle = await open(path, 'w', 0o600);
  try {
    const { argv, env, stdin } = command;
    await run(argv, { timeout: Number.POSITIVE_INFINITY, ...options, env, stdin, stdout: handle.fd });
  } finally {
    await handle.close();
  }
}

/**
 * Decodes a whole artifact and looks for its end.
 * @throws exit code 3 when it is cut, damaged or something else; 1 when a program for it is missing
 */
export async function decode(postgres: Postgres, path: string, format: Format): Promise<void> {
  const refuse = (why: string) => verificationError(`${path} can't be read to its end: ${why}`, OTHER_BACKUP);
  let tail: string;
  try {
    tail = await readingFile(postgres, decodePipeline(format), path, { purpose: `decode ${path}` });
  } catch (error) {
    interrupt.throwIfAborted();
    for (const program of format === 'plain' ? ['gzip'] : ['zstd', 'pg_restore']) {
      await programVersion(postgres, program); // what is not installed must not look like damage
    }
    throw refuse(messageOf(error));
  }
  if (format === 'plain' && !TRAILER.test(tail)) throw refuse('the dump stops before its last line');
}

/**
 * Refuses a plain dump that would leave the database into which it is loaded, and could drop the live one.
 * In a dump only psql's own commands start a line with one backslash.
 */
export async function refuseConnecting(postgres: Postgres, path: string): Promise<void> {
  const lines = pipeline(DECOMPRESS.plain, ['env', 'LC_ALL=C', 'sed', '-n', '/^\\\\connect /p']);
  const found = await readingFile(postgres, lines, path, { purpose: `look for \\connect in ${path}` });
  if (found === '') return;
  throw usageError(
    `${path} chooses its database itself (${found.trim().split('\n')[0]})`,
    'it was made by pg_dumpall or pg_dump --create: load it with psql into a server of its own, and dump the database there.',
  );
}

const OTHER_BACKUP = 'use another backup: list-backups.ts shows them.';

/**
 * Checks a file against its manifest entry: size, then SHA-256.
 * @throws exit code 3
 */
export async function checkFile(path: string, expected: Manifest['artifact']): Promise<void> {
  const fail = (what: string) => verificationError(`${path} ${what}`, OTHER_BACKUP);
  const size = await sizeOf(path);
  if (size === undefined) throw fail('is missing');
  if (size !== expected.bytes) throw fail(`is ${bytes(size)} (${size} bytes), not ${expected.bytes} bytes`);
  if ((await sha256(path, interrupt)) !== expected.sha256)
    throw fail('has changed: its SHA-256 is not that of its manifest');
}
