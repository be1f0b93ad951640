/** Decodes artifacts, and compares files with their manifest. */
import { join } from 'node:path';
import type { Config, Postgres } from '../config/config.ts';
import { Exit, messageOf, OperationalError, usageError, verificationError } from '../core/errors.ts';
import { sha256, sizeOf } from '../core/files.ts';
import { bytes } from '../core/format.ts';
import { log } from '../core/log.ts';
import { interrupt } from '../core/signals.ts';
import { runFromFile } from '../postgres/redirect.ts';
import { programVersion } from '../postgres/server.ts';
import type { Found } from './catalog.ts';
import { decodePipeline } from './dump-commands.ts';
import { type DumpFrame, readFrame } from './dump-frame.ts';
import type { LocalSource } from './fetch.ts';
import { foreignDump } from './foreign-dump.ts';
import type { Format, Manifest } from './manifest.ts';

/** A source that was read to its end and matches its manifest: it can be loaded. */
export interface CheckedSource extends LocalSource {
  /** Null: a custom dump has none. */
  frame: DumpFrame | null;
}

/**
 * Decodes a whole artifact and checks its last lines.
 * @returns the frame of a plain dump
 * @throws exit code 3 when it is truncated, damaged or not a dump; 1 when a program is missing or too old
 */
export async function decode(postgres: Postgres, path: string, format: Format): Promise<DumpFrame | null> {
  const refuse = (why: string) => verificationError(`${path} can't be decoded: ${why}`, OTHER_BACKUP);
  let ends: string;
  try {
    ends = await runFromFile(postgres, decodePipeline(format), path, { purpose: `decode ${path}` });
  } catch (error) {
    interrupt.throwIfAborted();
    // A missing or an old program must not look like damage.
    for (const program of format === 'plain' ? ['gzip'] : ['zstd', 'pg_restore']) {
      const version = await programVersion(postgres, program);
      if (program === 'pg_restore' && /unsupported version \([\d.]+\) in file header/.test(messageOf(error)))
        throw new OperationalError(
          `${program} ${version} can't read ${path}: a later version of pg_dump made it`,
          'update PostgreSQL’s client programs to the version of the server that was backed up, or later.',
        );
    }
    throw refuse(messageOf(error));
  }
  if (format === 'custom') return null;
  const frame = readFrame(ends);
  if (typeof frame === 'string') throw refuse(frame);
  return frame;
}

const OTHER_BACKUP = 'use another backup: ./scripts/list-backups.ts lists them.';

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
 * Checks the files of a backup against its manifest, without decoding them.
 * @throws exit code 3
 */
export async function checkFiles(directory: string, { artifact, globals }: Manifest): Promise<void> {
  for (const file of [artifact, globals]) await checkFile(join(directory, file.name), file);
}

/**
 * Reads a whole source and compares it with its manifest: sizes, checksums, every block.
 * @returns the source, which can be loaded now
 * @throws exit code 2 for a dump of several databases, 3 for damage, 1 when a program is missing
 */
export async function checkSource(postgres: Postgres, source: LocalSource): Promise<CheckedSource> {
  const { directory, artifact, format, manifest } = source;
  const path = join(directory, artifact);
  log.status(`Checking ${path}`);
  if (manifest)
    await checkFiles(directory, { ...manifest, artifact: { ...manifest.artifact, name: artifact } });
  const foreign = manifest ? undefined : await foreignDump(postgres, path);
  if (foreign) throw foreign;
  const frame = await decode(postgres, path, format);
  if (frame?.databases) {
    throw usageError(
      `${path} creates or connects to databases`,
      'pg_dumpall or pg_dump --create made it: load it with psql into another server, and dump the database there.',
    );
  }
  log.done(
    manifest
      ? `checked ${artifact}: size, SHA-256, every block`
      : `checked ${artifact}: every block, and its last line`,
  );
  return { ...source, frame };
}

/**
 * Reads local backups again, every byte.
 * @returns them, those that are damaged with their problem
 * @throws exit code 1 when a program is missing
 */
export async function verifyLocal(config: Config, found: Found[]): Promise<Found[]> {
  const read: Found[] = [];
  for (const each of found) {
    const damage = each.problem && !each.foreign ? undefined : await damageOf(config, each);
    read.push(damage ? { ...each, problem: damage, foreign: undefined } : each);
  }
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
