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
import { type Backup, type Found, localBackups, newestFirst, type Place, storedBackups } from './catalog.ts';
import { foreignDump } from './foreign-dump.ts';
import {
  type Format,
  type Manifest,
  manifestName,
  parseArtifactName,
  parseId,
  parseManifest,
} from './manifest.ts';

/** A backup that was found. Nothing of its artifact has been read yet. */
export interface Source {
  /** An id or a file name. */
  name: string;
  format: Format;
  /** Null: a dump that these scripts did not make. Its rows can't be compared. */
  manifest: Manifest | null;
  /** A store: it must be fetched first. */
  directory: string | Store;
  artifact: string;
}

/**
 * @returns where `--from` says to look; undefined: local, then S3
 * @throws exit code 2
 */
export function parsePlace(from: string | undefined): Place | undefined {
  if (from === undefined || from === 'local' || from === 's3') return from;
  throw usageError(`--from takes local or s3, not ${JSON.stringify(from)}`, 'see --help.');
}

/**
 * Finds a backup by what the operator typed: `latest`, an id, a path, or `s3://bucket/key`. `latest` is never a
 * backup that a restore made: after a failed restore it must mean the same backup again, not the one of the
 * damaged database.
 *
 * @param from undefined: local, then S3
 * @throws exit code 2 for a name that is none of these, 3 for a backup that is missing or damaged
 */
export async function findSource(config: Config, wanted: string, from: Place | undefined): Promise<Source> {
  if (wanted.startsWith('s3://')) return findObject(config, wanted);
  if (wanted.includes('/') || existsSync(wanted)) return findFile(config, resolve(wanted));
  if (wanted !== 'latest' && !parseId(wanted)) {
    throw usageError(
      `${JSON.stringify(wanted)} is not a backup id, a file or an s3:// address`,
      'list-backups.ts lists the ids.',
    );
  }
  const store = from !== 'local' && config.s3 ? await openStore(config.s3) : undefined;
  const matches = ({ id, manifest }: Backup) => (wanted === 'latest' ? !manifest.safety : id === wanted);
  const found = await search(config, from, store, matches);
  const broken = found.filter(({ problem }) => problem);
  const backup = newestFirst(found).find(matches);
  if (!backup) throw notFound(config, wanted, broken);
  const { id, place, manifest } = backup;
  if (wanted === 'latest') {
    for (const newer of broken.filter(each => each.id > id))
      log.warn(`${newer.id} is newer, but is ignored (${newer.place}): ${newer.problem}`);
  }
  const directory = place === 's3' ? store! : config.backupDir;
  return { name: id, format: manifest.format, manifest, directory, artifact: manifest.artifact.name };
}

/**
 * @returns what is in the backup directory, then what is in the store: of a backup in both, the local one is first
 * @throws when the last place can't be read and those before it have no match; exit code 2 without S3 settings
 */
async function search(
  config: Config,
  from: Place | undefined,
  store: Store | undefined,
  matches: (backup: Backup) => boolean,
): Promise<Found[]> {
  const now = Date.now();
  const places = [
    ...(from === 's3' ? [] : [() => localBackups(config, now)]),
    ...(store ? [() => storedBackups(config, store, now)] : []),
  ];
  if (places.length === 0) throw notConfigured('use --from local');
  const found: Found[] = [];
  for (const place of places) {
    try {
      found.push(...(await place()));
    } catch (error) {
      if (place === places.at(-1) && !newestFirst(found).some(matches)) throw error;
      log.warn(messageOf(error)); // the other place may have it
    }
  }
  return found;
}

const notConfigured = (alternative: string) =>
  usageError('S3 is not configured (S3_BUCKET is empty)', `set S3_BUCKET, or ${alternative}.`);

function notFound(config: Config, wanted: string, broken: Found[]): OperationalError {
  const what =
    wanted === 'latest'
      ? `there is no verified backup of ${config.postgres.database} (${config.environment})`
      : `there is no verified backup ${wanted}`;
  const problems = broken
    .filter(({ id }) => id === wanted)
    .map(({ place, problem }) => `${place}: ${problem}`);
  return verificationError(
    problems.length > 0 ? `${what}: ${problems.join('; ')}` : what,
    'list-backups.ts lists the backups.',
  );
}

async function findObject(config: Config, address: string): Promise<Source> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(address) ?? [];
  if (!bucket || !key)
    throw usageError(`${address} is not the address of an object`, 'use s3://bucket/prefix/name.');
  if (!config.s3) throw notConfigured('give the path of a file');
  const settings: S3Settings = { ...config.s3, bucket, prefix: dirname(key) === '.' ? '' : dirname(key) };
  const store = await openStore(settings);
  return sourceOf(basename(key), store, name => readText(store, name));
}

async function findFile({ postgres }: Config, path: string): Promise<Source> {
  if (!parseArtifactName(path)) {
    const foreign = await foreignDump(postgres, path);
    if (foreign) throw foreign;
  }
  if (!(await stat(path).catch(() => undefined))?.isFile())
    throw usageError(`${path} is not a file`, 'list-backups.ts lists the backups.');
  const directory = dirname(path);
  return sourceOf(basename(path), directory, async name => {
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
    return { name: named.id, format: named.format, manifest, directory, artifact };
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

/** @returns the name of a source, with the time of its data if that is known */
export function describeSource({ name, manifest }: Source): string {
  return manifest ? `${name} (data of ${utc(manifest.snapshotAt)})` : name;
}
