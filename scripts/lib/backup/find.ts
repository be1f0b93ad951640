/** Which backup an operator means. */
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Config, S3Settings } from '../config/config.ts';
import { messageOf, type OperationalError, usageError, verificationError } from '../core/errors.ts';
import { utc } from '../core/format.ts';
import { log } from '../core/log.ts';
import { openStore, type Store } from '../s3/open-store.ts';
import { readText } from '../s3/store.ts';
import { type Backup, type Found, localBackups, newestFirst, storedBackups } from './catalog.ts';
import {
  type Format,
  type Manifest,
  manifestName,
  parseArtifactName,
  parseId,
  parseManifest,
} from './manifest.ts';

/** What is to be restored, before a byte of it is read. */
export interface Source {
  /** As people name it: an id or a file name. */
  name: string;
  format: Format;
  /** Null: a dump made by something else, whose rows can't be compared. */
  manifest: Manifest | null;
  /** Where it lies; a store means that it is fetched first. */
  directory: string | Store;
  artifact: string;
}

/** @returns where `--from` says to look; undefined: anywhere */
export function parsePlace(from: string | undefined): 'local' | 's3' | undefined {
  if (from === undefined || from === 'local' || from === 's3') return from;
  throw usageError(`--from takes local or s3, not ${JSON.stringify(from)}`, 'see --help.');
}

/**
 * Finds a backup by what the operator typed: `latest`, an id, a path, or `s3://bucket/key`. After a restore
 * that failed or was a mistake, `latest` must mean the same backup again, not the one of the damaged database.
 *
 * @throws exit code 2 for a name that is none, 3 for a backup that is not whole
 */
export async function findSource(
  config: Config,
  wanted: string,
  from: 'local' | 's3' | undefined,
): Promise<Source> {
  if (wanted.startsWith('s3://')) return stored(config, wanted);
  if (wanted.includes('/') || existsSync(wanted)) return fromFile(resolve(wanted));
  if (wanted !== 'latest' && !parseId(wanted)) {
    throw usageError(
      `${JSON.stringify(wanted)} is no backup’s id, no file and no s3:// address`,
      'list-backups.ts shows the ids.',
    );
  }
  const { candidates, broken } = await search(config, wanted, from);
  if (candidates.length === 0) throw notFound(config, wanted, broken);
  // The newest; the local copy of a backup that is in both places comes first and is no download.
  const { backup, directory } = candidates.reduce((a, b) =>
    a.backup.manifest.snapshotAt >= b.backup.manifest.snapshotAt ? a : b,
  );
  const { manifest } = backup;
  for (const { id, place, problem } of wanted === 'latest' ? broken : []) {
    if (id > manifest.id) log.warn(`${id} is newer, but does not count (${place}): ${problem}`);
  }
  return {
    name: manifest.id,
    format: manifest.format,
    manifest,
    directory,
    artifact: manifest.artifact.name,
  };
}

interface Candidate {
  backup: Backup;
  directory: string | Store;
}

/**
 * Looks for a backup here, then in the store.
 *
 * @returns those that `wanted` can mean, and those that do not count
 * @throws when no place can be read, unless another has a candidate
 */
async function search(config: Config, wanted: string, from: 'local' | 's3' | undefined) {
  const now = Date.now();
  const places: (() => Promise<{ found: Found[]; directory: string | Store }>)[] = [];
  if (from !== 's3')
    places.push(async () => ({ found: await localBackups(config, now), directory: config.backupDir }));
  if (from !== 'local' && config.s3) {
    const store = await openStore(config.s3);
    places.push(async () => ({ found: await storedBackups(config, store, now), directory: store }));
  }
  if (places.length === 0)
    throw usageError('S3 is not configured (S3_BUCKET is empty)', 'set S3_BUCKET, or use --from local.');
  const broken: Found[] = [];
  const candidates: Candidate[] = [];
  for (const place of places) {
    try {
      const { found, directory } = await place();
      for (const backup of newestFirst(found)) {
        if (wanted === 'latest' ? !backup.manifest.safety : backup.id === wanted)
          candidates.push({ backup, directory });
      }
      broken.push(...found.filter(({ problem }) => problem));
    } catch (error) {
      if (candidates.length === 0 && places.at(-1) === place) throw error;
      log.warn(messageOf(error)); // the other place may have it
    }
  }
  return { candidates, broken };
}

function notFound(config: Config, wanted: string, broken: Found[]): OperationalError {
  const what =
    wanted === 'latest'
      ? `there is no verified backup of ${config.postgres.database} (${config.environment})`
      : `there is no whole backup ${wanted}`;
  const problems = broken
    .filter(({ id }) => id === wanted)
    .map(({ place, problem }) => `${place}: ${problem}`);
  return verificationError(
    problems.length > 0 ? `${what}: ${problems.join('; ')}` : what,
    'list-backups.ts shows what is there.',
  );
}

async function stored(config: Config, address: string): Promise<Source> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(address) ?? [];
  if (!bucket || !key)
    throw usageError(`${address} is no address of an object`, 'write s3://bucket/prefix/name.');
  if (!config.s3)
    throw usageError('S3 is not configured (S3_BUCKET is empty)', 'set S3_BUCKET, S3_ENDPOINT and the keys.');
  const settings: S3Settings = { ...config.s3, bucket, prefix: dirname(key) === '.' ? '' : dirname(key) };
  const store = await openStore(settings);
  return sourceOf(basename(key), store, name => readText(store, name));
}

async function fromFile(path: string): Promise<Source> {
  if (!(await stat(path).catch(() => undefined))?.isFile())
    throw usageError(`${path} is no file`, 'list-backups.ts shows the backups.');
  const directory = dirname(path);
  return sourceOf(basename(path), directory, async name => {
    const manifest = join(directory, name);
    if (!existsSync(manifest)) return undefined;
    return readFile(manifest, 'utf8').catch(error => {
      throw verificationError(`${manifest} can't be read: ${messageOf(error)}`, 'see what it is, and whose.');
    });
  });
}

/** A file named outright is taken without a manifest too, if it is a plain dump, which shows by itself that it is whole. */
async function sourceOf(
  artifact: string,
  directory: string | Store,
  read: (name: string) => Promise<string | undefined>,
): Promise<Source> {
  const named = parseArtifactName(artifact);
  if (!named)
    throw usageError(`${artifact} is no dump that is known here`, 'give a .sql.gz or .dump.zst file.');
  const text = await read(manifestName(named.id));
  if (text !== undefined) {
    const manifest = parseManifest(text, named.id);
    return { name: named.id, format: named.format, manifest, directory, artifact };
  }
  if (named.format === 'custom') {
    throw verificationError(
      `${artifact} has no manifest beside it`,
      `put ${manifestName(named.id)} beside it: only its checksum shows damage in this format.`,
    );
  }
  log.warn(`${artifact} has no manifest: its checksum and rows can’t be compared with anything`);
  return { name: artifact, format: named.format, manifest: null, directory, artifact };
}

/** @returns how a source is named to people: with the time of its data, if that is known */
export function describeSource({ name, manifest }: Source): string {
  return manifest ? `${name} (data of ${utc(manifest.snapshotAt)})` : name;
}
