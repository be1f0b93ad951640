/** Decodes artifacts, and compares files with their manifest. */
import { join } from 'node:path';
import type { Config, Postgres } from '../config/config.ts';
import { Exit, messageOf, OperationalError, usageError, verificationError } from '../core/errors.ts';
import { sha256, sizeOf } from '../core/files.ts';
import { bytes } from '../core/format.ts';
import { log } from '../core/log.ts';
import { pipeline } from '../core/pipeline.ts';
import { interrupt } from '../core/signals.ts';
import { runFromFile } from '../postgres/redirect.ts';
import { programVersion } from '../postgres/server.ts';
import type { Found } from './catalog.ts';
import { DECOMPRESS, decodePipeline } from './dump-commands.ts';
import type { LocalSource } from './fetch.ts';
import type { Format, Manifest } from './manifest.ts';

/** One of the last lines of pg_dump and pg_dumpall; `\unrestrict` may follow since 15.14. */
const TRAILER = /^-- PostgreSQL database (cluster )?dump complete$/m;

/**
 * Decodes a whole artifact and checks its last line.
 * @throws exit code 3 when it is truncated, damaged or not a dump; 1 when a program is missing
 */
export async function decode(postgres: Postgres, path: string, format: Format): Promise<void> {
  const refuse = (why: string) => verificationError(`${path} can't be decoded: ${why}`, OTHER_BACKUP);
  let tail: string;
  try {
    tail = await runFromFile(postgres, decodePipeline(format), path, { purpose: `decode ${path}` });
  } catch (error) {
    interrupt.throwIfAborted();
    for (const program of format === 'plain' ? ['gzip'] : ['zstd', 'pg_restore']) {
      await programVersion(postgres, program); // a missing program must not look like damage
    }
    throw refuse(messageOf(error));
  }
  if (format === 'plain' && !TRAILER.test(tail)) throw refuse('the last line of the dump is missing');
}

/**
 * Refuses a plain dump that connects to another database: it could drop the live one. In a dump only psql's
 * commands start a line with one backslash.
 * @throws exit code 2
 */
async function refuseConnecting(postgres: Postgres, path: string): Promise<void> {
  const lines = pipeline(DECOMPRESS.plain, ['env', 'LC_ALL=C', 'sed', '-n', '/^\\\\connect /p']);
  const found = await runFromFile(postgres, lines, path, { purpose: `search ${path} for \\connect` });
  if (found === '') return;
  throw usageError(
    `${path} connects to another database (${found.trim().split('\n')[0]})`,
    'pg_dumpall or pg_dump --create made it: load it with psql into another server, and dump the database there.',
  );
}

const OTHER_BACKUP = 'use another backup: list-backups.ts lists them.';

/**
 * Checks a file against its manifest entry: size, then SHA-256.
 * @throws exit code 3
 */
async function checkFile(path: string, expected: Manifest['artifact']): Promise<void> {
  const fail = (what: string) => verificationError(`${path} ${what}`, OTHER_BACKUP);
  const size = await sizeOf(path);
  if (size === undefined) throw fail('is missing');
  if (size !== expected.bytes) throw fail(`is ${bytes(size)} (${size} bytes), not ${expected.bytes} bytes`);
  if ((await sha256(path, interrupt)) !== expected.sha256)
    throw fail('has changed: its SHA-256 is not that of its manifest');
}

/**
 * Reads a whole source and compares it with its manifest: sizes, checksums, every block.
 * @throws exit code 2 for a dump of several databases, 3 for damage, 1 when a program is missing
 */
export async function checkSource(
  postgres: Postgres,
  { directory, artifact, format, manifest }: LocalSource,
): Promise<void> {
  const path = join(directory, artifact);
  log.status(`Checking ${path}`);
  if (manifest) {
    await checkFile(path, manifest.artifact);
    await checkFile(join(directory, manifest.globals.name), manifest.globals);
  }
  await decode(postgres, path, format);
  if (!manifest) await refuseConnecting(postgres, path);
  log.done(
    manifest
      ? `checked ${artifact}: size, SHA-256, every block`
      : `checked ${artifact}: every block, and its last line`,
  );
}

/**
 * Reads local backups again, every byte.
 * @returns them, those that are damaged with their problem
 * @throws exit code 1 when a program is missing
 */
export async function verifyLocal(config: Config, found: Found[]): Promise<Found[]> {
  const read: Found[] = [];
  for (const each of found)
    read.push(each.problem ? each : { ...each, problem: await damageOf(config, each) });
  return read;
}

async function damageOf(config: Config, { id, manifest }: Found): Promise<string | undefined> {
  const { format, artifact } = manifest!;
  const directory = config.backupDir;
  try {
    const source = {
      name: id,
      format,
      manifest: manifest!,
      directory,
      work: directory,
      artifact: artifact.name,
    };
    await checkSource(config.postgres, source);
    return undefined;
  } catch (error) {
    if (!(error instanceof OperationalError) || error.exitCode !== Exit.verification) throw error;
    return error.message;
  }
}
