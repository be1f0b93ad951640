import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { Exit, messageOf, OperationalError } from '../core/errors.ts';
import { utc } from '../core/format.ts';
import type { Store } from '../s3/open-store.ts';
import { listObjects, readText, type StoredObject } from '../s3/store.ts';
import { isOurs, type Manifest, manifestName, parseArtifactName, parseManifest } from './manifest.ts';
import { readManifests } from './manifest-cache.ts';
import { type SignatureProblem, signatureProblem } from './signature.ts';

const DAY = 86_400_000;

export type Place = 'local' | 's3';

/** A backup as found in one place. */
export interface Found {
  id: string;
  place: Place;
  /** Undefined when it is missing or damaged. */
  manifest?: Manifest;
  /** Why it is ignored; undefined for a verified backup. */
  problem?: string | undefined;
  /** Set for a backup that is whole, and ignored only because it does not have this server's signature. */
  foreign?: SignatureProblem | undefined;
  /** Set where the manifest and the sizes of its files agree, whoever made them. */
  isWhole?: boolean;
  /** The artifact's size; 0 if there is none. */
  bytes: number;
  /** When the artifact's file was last written, in ms since 1970; undefined in the store, which has whole objects only. */
  changedAt?: number | undefined;
}

/** A verified backup: its manifest is valid, and its files have the right size. */
export type Backup = Found & { manifest: Manifest; problem: undefined };

export const isVerified = (found: Found): found is Backup =>
  found.manifest !== undefined && found.problem === undefined;

/** @returns the verified backups, newest data first; those of the same time keep their order */
export function newestFirst(found: Found[]): Backup[] {
  return found.filter(isVerified).sort((a, b) => b.manifest.snapshotAt.localeCompare(a.manifest.snapshotAt));
}

interface Directory {
  place: Place;
  sizes: Map<string, number>;
  changed?: Map<string, number>;
  /** Undefined: the file no longer exists. */
  read: (name: string) => Promise<string | undefined>;
}

/**
 * @param now in ms since 1970; the same for both places, so that they can be compared
 * @returns the backups of this app and environment in the backup directory, newest id first
 */
export function localBackups(config: Config, now = Date.now()): Promise<Found[]> {
  return Array.fromAsync(walkLocal(config, now));
}

/**
 * Reads the manifests side by side, and only those that are not kept from an earlier run.
 *
 * @param remember keeps what was read: only under the lock, as looking writes nothing
 * @returns the same for the store
 * @throws exit code 4 when it can't be read
 */
export async function storedBackups(
  config: Config,
  store: Store,
  now = Date.now(),
  remember = false,
): Promise<Found[]> {
  const objects = await listStored(config, store);
  const isManifest = ({ name }: StoredObject) => name.endsWith('.json') && isOurs(name.slice(0, -5), config);
  const texts = await readManifests(config, store, objects.filter(isManifest), remember);
  const read = async (name: string) => texts.get(name);
  return Array.fromAsync(inspect(config, now, { place: 's3', sizes: sizesOf(objects), read }));
}

/** @returns the objects in the store that may be of this app and environment. @throws exit code 4 */
export function listStored({ app, environment }: Config, store: Store): Promise<StoredObject[]> {
  return listObjects(store, `${app}_${environment}_`);
}

export const sizesOf = (objects: StoredObject[]) => new Map(objects.map(({ name, bytes }) => [name, bytes]));

/** @returns the first verified backup that no restore made; what comes after it is not read */
export async function newestOf(walk: AsyncIterable<Found>): Promise<Backup | undefined> {
  for await (const found of walk) if (isVerified(found) && !found.manifest.safety) return found;
  return undefined;
}

/** Like {@link localBackups}, one at a time: a manifest is read when the caller asks for it. */
export async function* walkLocal(config: Config, now = Date.now()): AsyncGenerator<Found> {
  const names = await readdir(config.backupDir).catch(() => [] as string[]);
  const sizes = new Map<string, number>();
  const changed = new Map<string, number>();
  for (const name of names) {
    const file = await stat(join(config.backupDir, name)).catch(() => undefined);
    sizes.set(name, file?.size ?? 0);
    if (file) changed.set(name, file.mtimeMs);
  }
  yield* inspect(config, now, {
    place: 'local',
    sizes,
    changed,
    read: name => readFile(join(config.backupDir, name), 'utf8'),
  });
}

/**
 * Like {@link storedBackups}, one at a time.
 * @param objects default: as {@link listStored} returns them
 */
export async function* walkStored(
  config: Config,
  store: Store,
  objects?: StoredObject[],
): AsyncGenerator<Found> {
  const sizes = sizesOf(objects ?? (await listStored(config, store)));
  const read = (name: string) => readText(store, name);
  yield* inspect(config, Date.now(), { place: 's3', sizes, read });
}

async function* inspect(config: Config, now: number, directory: Directory): AsyncGenerator<Found> {
  const artifacts = new Map<string, string | undefined>();
  for (const name of directory.sizes.keys()) {
    const isManifest = name.endsWith('.json');
    const id = isManifest ? name.slice(0, -'.json'.length) : parseArtifactName(name)?.id;
    if (id !== undefined && isOurs(id, config))
      artifacts.set(id, artifacts.get(id) ?? (isManifest ? undefined : name));
  }
  for (const id of [...artifacts.keys()].sort().reverse())
    yield await inspectOne(config, now, directory, id, artifacts.get(id));
}

async function inspectOne(
  config: Config,
  now: number,
  { place, sizes, changed, read }: Directory,
  id: string,
  artifact = '',
): Promise<Found> {
  const base: Found = { id, place, bytes: sizes.get(artifact) ?? 0, changedAt: changed?.get(artifact) };
  let manifest: Manifest;
  let text: string | undefined;
  try {
    text = sizes.has(manifestName(id)) ? await read(manifestName(id)) : undefined;
    if (text === undefined) return { ...base, problem: 'no manifest' };
    manifest = parseManifest(text, id);
  } catch (error) {
    // A store that can't be read is not a damaged backup: an older backup must not become the newest.
    if (error instanceof OperationalError && error.exitCode !== Exit.verification) throw error;
    return { ...base, problem: messageOf(error) };
  }
  const problem = problemOf(config, now, sizes, manifest);
  const foreign = problem ? undefined : signatureProblem(text, config.signingKeys);
  const isWhole = sizeProblem(sizes, manifest) === undefined;
  return { ...base, manifest, isWhole, problem: foreign ? `foreign: ${foreign}` : problem, foreign };
}

function problemOf(
  config: Config,
  now: number,
  sizes: Map<string, number>,
  manifest: Manifest,
): string | undefined {
  const incomplete = sizeProblem(sizes, manifest);
  if (incomplete) return incomplete;
  if (Date.parse(manifest.snapshotAt) > now + DAY)
    return `dated in the future, ${utc(manifest.snapshotAt)}: the clock was wrong`;
  if (manifest.database !== config.postgres.database) return `of another database, ${manifest.database}`;
  return undefined;
}

/** @returns what is wrong with the files of a backup in a place, by their sizes */
export function sizeProblem(sizes: Map<string, number>, { artifact, globals }: Manifest): string | undefined {
  for (const { name, bytes } of [artifact, globals]) {
    const size = sizes.get(name);
    if (size === undefined) return `${name} is missing`;
    if (size !== bytes) return `${name} is truncated: ${size} of ${bytes} bytes`;
  }
  return undefined;
}
