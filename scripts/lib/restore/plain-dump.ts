/** Reads plain dumps statement by statement, and leaves something out. */
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { Without } from '../backup/dump-commands.ts';
import type { LocalSource } from '../backup/fetch.ts';
import { log } from '../core/log.ts';
import { interrupt } from '../core/signals.ts';
import { partsOf } from '../postgres/sql-parts.ts';
import { isLeftOut } from './dump-statements.ts';

/** @returns the text of a .gz file, one character (latin1) a byte */
export async function* gunzipped(path: string): AsyncGenerator<string> {
  const input = createReadStream(path, { signal: interrupt });
  const output = createGunzip();
  const failed = pipeline(input, output).catch(error => void output.destroy(error as Error));
  yield* output.setEncoding('latin1') as AsyncIterable<string>;
  await failed;
}

/**
 * Makes of a plain dump another, in the source's temporary directory, that leaves out what `without` names.
 * A custom dump stays as it is: pg_restore leaves it out.
 */
export async function leaveOut<S extends LocalSource>(source: S, without: Without): Promise<S> {
  if (source.format === 'custom' || !(without.owners || without.tablespaces)) return { ...source, without };
  log.status(`Leaving out a part of ${source.artifact}`);
  const artifact = `.left-out.${source.artifact}`;
  const path = join(source.directory, source.artifact);
  await pipeline(
    gunzipped(path),
    async function* (chunks) {
      for await (const { kind, text } of partsOf(chunks)) {
        if (kind === 'other' || !isLeftOut(text, without)) yield Buffer.from(text, 'latin1');
      }
    },
    createGzip({ level: 1 }),
    createWriteStream(join(source.work, artifact), { mode: 0o600 }),
  );
  return { ...source, directory: source.work, artifact, without };
}

/** Without privileges a function that was closed to all but some is open to all again: that must not go unnoticed. */
export function sayWhatIsLeftOut({ manifest }: LocalSource, { owners }: Without): void {
  if (!owners && (manifest === null || manifest.needs)) return;
  const why = owners
    ? 'owners and privileges are left out: POSTGRES_USER will own everything'
    : manifest?.format === 'custom'
      ? 'this backup has no privileges'
      : 'this backup has no owners and no privileges: POSTGRES_USER will own everything';
  log.warn(`${why}. What was revoked (REVOKE … FROM PUBLIC) is allowed again`);
}
