/** Reads artifacts to their end, and compares files with a manifest. */
import { join } from 'node:path';
import type { Postgres } from '../config/config.ts';
import { messageOf, usageError, verificationError } from '../core/errors.ts';
import { sha256, sizeOf } from '../core/files.ts';
import { bytes } from '../core/format.ts';
import { log } from '../core/log.ts';
import { pipeline } from '../core/pipeline.ts';
import { interrupt } from '../core/signals.ts';
import { runFromFile } from '../postgres/redirect.ts';
import { programVersion } from '../postgres/server.ts';
import { DECOMPRESS, decodePipeline } from './dump-commands.ts';
import type { LocalSource } from './fetch.ts';
import type { Format, Manifest } from './manifest.ts';

/** How the last lines of a whole pg_dump and pg_dumpall look; `\unrestrict` may follow since 15.14. */
const TRAILER = /^-- PostgreSQL database (cluster )?dump complete$/m;

/**
 * Decodes a whole artifact and looks for its end.
 * @throws exit code 3 when it is cut, damaged or something else; 1 when a program for it is missing
 */
export async function decode(postgres: Postgres, path: string, format: Format): Promise<void> {
  const refuse = (why: string) => verificationError(`${path} can't be read to its end: ${why}`, OTHER_BACKUP);
  let tail: string;
  try {
    tail = await runFromFile(postgres, decodePipeline(format), path, { purpose: `decode ${path}` });
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
  const found = await runFromFile(postgres, lines, path, { purpose: `look for \\connect in ${path}` });
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

/**
 * Reads all of a source and compares it with its manifest: sizes, checksums, every block.
 * @throws exit code 3
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
