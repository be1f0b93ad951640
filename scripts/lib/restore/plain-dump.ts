/** Reads plain dumps statement by statement: for what they need, and to leave something out. */
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { DECOMPRESS, type Without } from '../backup/dump-commands.ts';
import type { LocalSource } from '../backup/fetch.ts';
import type { Postgres } from '../config/config.ts';
import { log } from '../core/log.ts';
import { pipeline as pipe } from '../core/pipeline.ts';
import { interrupt } from '../core/signals.ts';
import type { Needs } from '../postgres/needs.ts';
import { runFromFile } from '../postgres/redirect.ts';
import { partsOf } from '../postgres/sql-parts.ts';
import { isLeftOut, needOf } from './dump-statements.ts';

/** What a restore needs of the server. */
export type Requirements = Needs & { extensions: string[] };

/**
 * @returns what a checked source needs of the server: from its manifest, else from its statements
 * @throws CommandError
 */
export async function requirementsOf(postgres: Postgres, source: LocalSource): Promise<Requirements> {
  const { manifest, directory, artifact, format, work } = source;
  if (manifest?.needs) return { ...manifest.needs, extensions: manifest.extensions.map(({ name }) => name) };
  const path = join(directory, artifact);
  if (format === 'plain') return requirementsIn(gunzipped(path));
  const schema = join(work, `.${basename(artifact)}.schema.sql`);
  const output = await open(schema, 'w', 0o600);
  try {
    const argv = pipe(DECOMPRESS.custom, ['pg_restore', '--schema-only', '--file=-']);
    await runFromFile(postgres, argv, path, { purpose: `read ${artifact}`, stdout: output.fd });
    return await requirementsIn(createReadStream(schema, 'latin1'));
  } finally {
    await output.close();
    await rm(schema, { force: true });
  }
}

/** @returns the text of a .gz file, one character (latin1) a byte */
export async function* gunzipped(path: string): AsyncGenerator<string> {
  const input = createReadStream(path, { signal: interrupt });
  const output = createGunzip();
  const failed = pipeline(input, output).catch(error => void output.destroy(error as Error));
  yield* output.setEncoding('latin1') as AsyncIterable<string>;
  await failed;
}

/** @returns what the statements of a dump need; names are decoded by the dump's own encoding */
async function requirementsIn(chunks: AsyncIterable<string>): Promise<Requirements> {
  const roles = new Map<string, Set<Needs['roles'][number]['uses'][number]>>();
  const names = {
    tablespaces: new Set<string>(),
    collations: new Set<string>(),
    publications: new Set<string>(),
    superuser: new Set<string>(),
    extensions: new Set<string>(),
  };
  let decoder = new TextDecoder();
  for await (const { kind, text } of partsOf(chunks)) {
    if (kind === 'other') continue;
    const encoding = /^SET client_encoding = '(\w+)';$/.exec(text)?.[1];
    if (encoding !== undefined) decoder = decoderOf(encoding);
    const need = needOf(decoder.decode(Buffer.from(text, 'latin1')));
    if (!need) continue;
    for (const [role, use] of need.roles) roles.set(role, (roles.get(role) ?? new Set()).add(use));
    for (const key of Object.keys(names) as (keyof typeof names)[])
      for (const name of need[key] ?? []) names[key].add(name);
  }
  return {
    roles: [...roles].map(([name, uses]) => ({ name, uses: [...uses].sort(), cannotCreateIn: [] })),
    tablespaces: [...names.tablespaces],
    collations: [...names.collations],
    publications: [...names.publications],
    superuser: [...names.superuser],
    extensions: [...names.extensions],
  };
}

/** PostgreSQL’s names of encodings: https://www.postgresql.org/docs/current/multibyte.html#CHARSET-TABLE */
function decoderOf(encoding: string) {
  const label = encoding
    .replace(/^WIN(\d+)$/, 'windows-$1')
    .replace(/^ISO_8859_(\d)$/, 'iso-8859-$1')
    .replace(/^LATIN(\d)$/, (_, number: string) => `iso-8859-${Number(number) < 5 ? number : 9}`)
    .replaceAll('_', '-');
  try {
    return new TextDecoder(label);
  } catch {
    return new TextDecoder();
  }
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
