import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Config, Postgres, S3Settings } from '../config/config.ts';
import { messageOf, usageError, verificationError } from '../core/errors.ts';
import { utc } from '../core/format.ts';
import { log } from '../core/log.ts';
import { enoughSpace, freeSpace } from '../core/machine.ts';
import { withProgress } from '../core/progress.ts';
import type { Store } from '../s3/store.ts';
import { checkFile, decode, refuseConnecting } from './artifact.ts';
import { type Backup, type Found, localBackups, newestFirst, storedBackups } from './catalog.ts';
import {
  type Format,
  globalsName,
  type Manifest,
  manifestName,
  parseArtifactName,
  parseId,
  parseManifest,
} from './manifest.ts';
import { openStore } from './offsite-copy.ts';

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

/** A source whose files are on this host. */
export interface LocalSource extends Source {
  directory: string;
  /** The run's own directory, empty or with what was fetched; the caller removes it. */
  work: string;
}

/** @returns where `--from` says to look; undefined: anywhere */
export function parsePlace(from: string | undefined): 'local' | 's3' | undefined {
  if (from === undefined || from === 'local' || from === 's3') return from;
  throw usageError(`--from takes local or s3, not ${JSON.stringify(from)}`, 'see --help.');
}

/**
 * Finds a backup by what the operator typed: `latest`, an id, a path, or `s3://bucket/key`. After a restore
 * that failed or was a mistake, `latest` must mean the same backup again, not the one of the damaged database.
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
  const candidates: { backup: Backup; directory: string | Store }[] = [];
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
  // The newest; the local copy of a backup that is in both places comes first and is no download.
  const best = candidates.reduce<(typeof candidates)[number] | undefined>(
    (a, b) => (a && a.backup.manifest.snapshotAt >= b.backup.manifest.snapshotAt ? a : b),
    undefined,
  );
  if (best) {
    const { manifest } = best.backup;
    for (const { id, place, problem } of wanted === 'latest' ? broken : []) {
      if (id > manifest.id) log.warn(`${id} is newer, but does not count (${place}): ${problem}`);
    }
    return {
      name: manifest.id,
      format: manifest.format,
      manifest,
      directory: best.directory,
      artifact: manifest.artifact.name,
    };
  }
  const what =
    wanted === 'latest'
      ? `there is no verified backup of ${config.postgres.database} (${config.environment})`
      : `there is no whole backup ${wanted}`;
  const problems = broken
    .filter(({ id }) => id === wanted)
    .map(({ place, problem }) => `${place}: ${problem}`);
  throw verificationError(
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
  return describe(basename(key), store, name => store.text(name));
}

async function fromFile(path: string): Promise<Source> {
  if (!(await stat(path).catch(() => undefined))?.isFile())
    throw usageError(`${path} is no file`, 'list-backups.ts shows the backups.');
  const directory = dirname(path);
  return describe(basename(path), directory, async name => {
    const manifest = join(directory, name);
    if (!existsSync(manifest)) return undefined;
    return readFile(manifest, 'utf8').catch(error => {
      throw verificationError(`${manifest} can't be read: ${messageOf(error)}`, 'see what it is, and whose.');
    });
  });
}

/** A file named outright is taken without a manifest too, if it is a plain dump, which shows by itself that it is whole. */
async function describe(
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

/** The directory of a restore's own in the backup directory, removed at its end. Only under the lock. */
export function restoreDirectory({ backupDir, environment }: Config): string {
  return join(backupDir, `.fetched-${environment}`);
}

/** Removes a run's own directory. A failure is a warning: it must not hide what the run itself has to say. */
export async function removeWork(directory: string): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    log.warn(`${directory} may be left over: ${messageOf(error)}`);
  }
}

/**
 * Brings a source's files to this host.
 * @param directory the run's own, which the caller removes; what a killed run left there is removed first
 */
export async function fetchSource(source: Source, directory: string): Promise<LocalSource> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (typeof source.directory === 'string') {
    return { ...source, directory: source.directory, work: directory };
  }
  const store = source.directory;
  const total = source.manifest?.artifact.bytes;
  enoughSpace(`BACKUP_DIR (${dirname(directory)})`, await freeSpace(dirname(directory)), total ?? 0);
  let received = 0;
  await withProgress({ label: 'Fetching', measure: () => received, ...(total ? { total } : {}) }, () =>
    store.download(source.artifact, join(directory, source.artifact), now => {
      received = now;
    }),
  );
  if (source.manifest) {
    const globals = globalsName(source.manifest.id);
    await store.download(globals, join(directory, globals));
  }
  return { ...source, directory, work: directory };
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

/** @returns how a source is named to people: with the time of its data, if that is known */
export function describeSource({ name, manifest }: Source): string {
  return manifest ? `${name} (data of ${utc(manifest.snapshotAt)})` : name;
}
