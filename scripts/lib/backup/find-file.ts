/** A backup that an operator names by its path or by its address in a store. */
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Config, S3Settings } from '../config/config.ts';
import { messageOf, usageError, verificationError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { openStore, type Store } from '../s3/open-store.ts';
import { readText } from '../s3/store.ts';
import { foreignDump } from './foreign-dump.ts';
import { manifestName, parseArtifactName, parseManifest } from './manifest.ts';
import { distrust, signatureProblem } from './signature.ts';
import type { Source } from './source.ts';

/** @returns the usage error of a run that needs a store */
export const notConfigured = (alternative: string) =>
  usageError('S3 is not configured (S3_BUCKET is empty)', `set S3_BUCKET, or ${alternative}.`);

/** @throws exit code 2 for no address, 3 for a backup that is missing or damaged, 4 when the store can't be read */
export async function findObject(config: Config, address: string): Promise<Source> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(address) ?? [];
  if (!bucket || !key)
    throw usageError(`${address} is not the address of an object`, 'use s3://bucket/prefix/name.');
  if (!config.s3) throw notConfigured('give the path of a file');
  const settings: S3Settings = { ...config.s3, bucket, prefix: dirname(key) === '.' ? '' : dirname(key) };
  const store = await openStore(settings);
  const source = await sourceOf(config, basename(key), store, name => readText(store, name));
  // That of a file on this host was typed as well, but an object's sender is whoever can write to the bucket.
  return source.manifest || config.signingKeys.length === 0
    ? source
    : { ...source, ...distrust('not signed') };
}

/** @throws exit code 2 for no file or another form of dump, 3 for a damaged manifest */
export async function findFile(config: Config, path: string): Promise<Source> {
  if (!parseArtifactName(path)) {
    const foreign = await foreignDump(config.postgres, path);
    if (foreign) throw foreign;
  }
  if (!(await stat(path).catch(() => undefined))?.isFile())
    throw usageError(`${path} is not a file`, './scripts/list-backups.ts lists the backups.');
  const directory = dirname(path);
  return sourceOf(config, basename(path), directory, async name => {
    const manifest = join(directory, name);
    if (!existsSync(manifest)) return undefined;
    return readFile(manifest, 'utf8').catch(error => {
      throw verificationError(
        `${manifest} can't be read: ${messageOf(error)}`,
        'check its type and its permissions.',
      );
    });
  });
}

/**
 * The source of an artifact that was named directly. A plain dump needs no manifest: its last line shows that it is
 * complete.
 */
async function sourceOf(
  { signingKeys }: Config,
  artifact: string,
  directory: string | Store,
  read: (name: string) => Promise<string | undefined>,
): Promise<Source> {
  const named = parseArtifactName(artifact);
  if (!named)
    throw usageError(`${artifact} is not a dump of a known format`, 'use a .sql.gz or .dump.zst file.');
  const text = await read(manifestName(named.id));
  if (text !== undefined) {
    const manifest = parseManifest(text, named.id);
    const foreign = distrust(signatureProblem(text, signingKeys));
    return { name: named.id, format: named.format, manifest, directory, artifact, ...foreign };
  }
  if (named.format === 'custom') {
    throw verificationError(
      `${artifact} has no manifest next to it`,
      `put ${manifestName(named.id)} next to it: only its checksum shows damage in this format.`,
    );
  }
  log.warn(`${artifact} has no manifest: its checksum and rows can’t be checked`);
  return { name: artifact, format: named.format, manifest: null, directory, artifact };
}
