import { copyFile, mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  artifactName,
  globalsName,
  type Manifest,
  manifestName,
  newId,
  parseManifest,
  serialize,
} from '../../../scripts/lib/backup/manifest.ts';
import { uploadBackup } from '../../../scripts/lib/backup/offsite-copy.ts';
import { type Config, type Environment, loadConfig } from '../../../scripts/lib/config/config.ts';
import { openStore } from '../../../scripts/lib/s3/open-store.ts';
import type { World } from '../core/world.ts';
import { fileOf } from '../s3/store.ts';

export interface Changes {
  /** How much older than the backup that it is made of; negative: newer. */
  days?: number;
  app?: string;
  environment?: Environment;
  database?: string;
  /** What else the manifest says. */
  manifest?: Partial<Manifest>;
}

/** The configuration that scripts see in a test's environment. */
export function configOf(world: Pick<World, 'env'>, env: Record<string, string>): Config {
  return loadConfig(env.DEPLOY_ENV === 'staging' ? 'staging' : 'production', { ...world.env, ...env });
}

/** @returns the manifest of a backup in a directory */
export async function manifestOf(directory: string, id: string): Promise<Manifest> {
  return parseManifest(await readFile(join(directory, manifestName(id)), 'utf8'), id);
}

/**
 * Makes of a backup another, whole and verified, of another time or of another app: with an id of its own.
 * @param into where it is put; default: beside the first
 */
export async function plant(
  directory: string,
  id: string,
  changes: Changes,
  into = directory,
): Promise<Manifest> {
  const old = await manifestOf(directory, id);
  const { days = 0, app = old.app, environment = old.environment, database = old.database } = changes;
  const then = new Date(Date.parse(old.snapshotAt) - days * 86_400_000);
  const [, start] = /_(\d{8}_\d{6})$/.exec(id)!;
  const started = start!.replace(/(....)(..)(..)_(..)(..)(..)/, '$1-$2-$3T$4:$5:$6Z');
  const newest = newId({ app, environment }, new Date(Date.parse(started) - days * 86_400_000));
  const names = { artifact: artifactName(newest, old.format), globals: globalsName(newest) };
  await mkdir(into, { recursive: true, mode: 0o700 });
  for (const file of ['artifact', 'globals'] as const)
    await copyWithTimes(join(directory, old[file].name), join(into, names[file]));
  const planted: Manifest = {
    ...old,
    id: newest,
    app,
    environment,
    database,
    snapshotAt: then.toISOString(),
    artifact: { ...old.artifact, name: names.artifact },
    globals: { ...old.globals, name: names.globals },
    ...changes.manifest,
  };
  await writeFile(join(into, manifestName(newest)), serialize(planted));
  return planted;
}

/** Like `cp --preserve`: a file that is newer than its verification counts as changed. */
async function copyWithTimes(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const { atime, mtime } = await stat(from);
  await utimes(to, atime, mtime);
}

/** Copies a backup of the backup directory into the store, as backup.ts does. */
export async function store(world: World, env: Record<string, string>, manifest: Manifest): Promise<void> {
  const config = configOf(world, env);
  await uploadBackup(config, await openStore(config.s3!), manifest);
}

/** The same without a request: puts the files where the store has its objects. */
export async function lay(
  world: Pick<World, 's3'>,
  env: Record<string, string>,
  manifest: Manifest,
): Promise<void> {
  const { id, artifact, globals } = manifest;
  for (const name of [artifact.name, globals.name, manifestName(id)]) {
    const path = fileOf(world, `${env.S3_PREFIX}/${name}`);
    await mkdir(dirname(path), { recursive: true });
    await copyFile(join(env.BACKUP_DIR!, name), path);
  }
}
