import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { Exit, messageOf, OperationalError } from '../core/errors.ts';
import { utc } from '../core/format.ts';
import type { Store } from '../s3/open-store.ts';
import { deleteObject, listObjects, readText } from '../s3/store.ts';
import {
  globalsName,
  isOurs,
  type Manifest,
  manifestName,
  parseArtifactName,
  parseManifest,
} from './manifest.ts';
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
  /** The artifact's size; 0 if there is none. */
  bytes: number;
  /** When the artifact's file was last written, in ms since 1970; undefined in the store, which has whole objects only. */
  changedAt?: number | undefined;
}

/** A verified backup: its manifest is valid, and its files have the right size. */
export type Backup = Found & { manifest: Manifest; problem: undefined };

const isVerified = (found: Found): found is Backup =>
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
 * @returns the same for the store
 * @throws exit code 4 when it can't be read
 */
export function storedBackups(config: Config, store: Store, now = Date.now()): Promise<Found[]> {
  return Array.fromAsync(walkStored(config, store, now));
}

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

/** Like {@link storedBackups}, one at a time. */
export async function* walkStored(config: Config, store: Store, now = Date.now()): AsyncGenerator<Found> {
  const objects = await listObjects(store, `${config.app}_${config.environment}_`);
  const sizes = new Map(objects.map(({ name, bytes }) => [name, bytes]));
  yield* inspect(config, now, { place: 's3', sizes, read: name => readText(store, name) });
}

async function* inspect(config: Config, now: number, directory: Directory): AsyncGenerator<Found> {
  const ids = new Set<string>();
  for (const name of directory.sizes.keys()) {
    const id = name.endsWith('.json') ? name.slice(0, -'.json'.length) : parseArtifactName(name)?.id;
    if (id !== undefined && isOurs(id, config)) ids.add(id);
  }
  for (const id of [...ids].sort().reverse()) yield await inspectOne(config, now, directory, id);
}

async function inspectOne(
  config: Config,
  now: number,
  { place, sizes, changed, read }: Directory,
  id: string,
): Promise<Found> {
  const artifact = [...sizes].find(([name]) => parseArtifactName(name)?.id === id);
  const base: Found = { id, place, bytes: artifact?.[1] ?? 0, changedAt: changed?.get(artifact?.[0] ?? '') };
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
  return { ...base, manifest, problem: foreign ? `foreign: ${foreign}` : problem, foreign };
}

function problemOf(
  config: Config,
  now: number,
  sizes: Map<string, number>,
  manifest: Manifest,
): string | undefined {
  for (const { name, bytes } of [manifest.artifact, manifest.globals]) {
    const size = sizes.get(name);
    if (size === undefined) return `${name} is missing`;
    if (size !== bytes) return `${name} is truncated: ${size} of ${bytes} bytes`;
  }
  if (Date.parse(manifest.snapshotAt) > now + DAY)
    return `dated in the future, ${utc(manifest.snapshotAt)}: the clock was wrong`;
  if (manifest.database !== config.postgres.database) return `of another database, ${manifest.database}`;
  return undefined;
}

/**
 * Deletes one backup from one place. The manifest goes first: without it the backup does not exist.
 *
 * @returns whether it is only hidden, in a bucket that keeps versions
 * @throws exit code 4 when the store refuses
 */
export async function removeBackup(
  config: Config,
  { id, place, manifest }: Backup,
  store?: Store,
): Promise<boolean> {
  let isHidden = false;
  for (const name of [manifestName(id), globalsName(id), manifest.artifact.name]) {
    if (place === 's3') isHidden = (await deleteObject(store!, name)) || isHidden;
    else await rm(join(config.backupDir, name), { force: true });
  }
  return isHidden;
}
