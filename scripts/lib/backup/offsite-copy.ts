import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { Exit, messageOf, OperationalError, textOf } from '../core/errors.ts';
import { sha256, sizeOf } from '../core/files.ts';
import { log } from '../core/log.ts';
import { withProgress } from '../core/progress.ts';
import { type Store, urlOf } from '../s3/open-store.ts';
import { deleteObject, probeStore } from '../s3/store.ts';
import { upload } from '../s3/upload.ts';
import { type Manifest, manifestName } from './manifest.ts';

/**
 * Copies a backup into the store: artifact, globals, then the manifest that makes it exist there.
 * A failure or a signal removes what was sent.
 *
 * @throws exit code 4
 */
export async function uploadBackup(config: Config, store: Store, manifest: Manifest): Promise<void> {
  const { artifact, globals } = manifest;
  const path = (name: string) => join(config.backupDir, name);
  const manifestFile = await manifestFileOf(config, manifest);
  let sent = 0;
  const label = `Uploading to ${urlOf(store, artifact.name)}`;
  const begun: string[] = [];
  try {
    await withProgress({ label, measure: () => sent, total: artifact.bytes }, async () => {
      for (const file of [artifact, globals, manifestFile]) {
        begun.push(file.name);
        await upload(store, path(file.name), file.name, metadataOf(manifest, file), now => {
          if (file === artifact) sent = now;
        });
      }
    });
  } catch (error) {
    await removeBegun(store, begun.reverse());
    throw error;
  }
}

/** Replaces the manifest of a copy by the local one. @throws exit code 4 */
export async function uploadManifest(config: Config, store: Store, manifest: Manifest): Promise<void> {
  const file = await manifestFileOf(config, manifest);
  await upload(store, join(config.backupDir, file.name), file.name, metadataOf(manifest, file));
}

async function manifestFileOf({ backupDir }: Config, { id }: Manifest): Promise<Manifest['artifact']> {
  const name = manifestName(id);
  const path = join(backupDir, name);
  return { name, sha256: await sha256(path), bytes: (await sizeOf(path))! };
}

/** Removes the manifest first: while it exists, the other files must exist too. */
async function removeBegun(store: Store, names: string[]): Promise<void> {
  try {
    for (const name of names) await deleteObject(store, name, { evenInterrupted: true });
  } catch (error) {
    log.warn(`some files of this upload may be left in the store: ${messageOf(error)}`);
  }
}

/** Metadata of an object, which can be read without its content. */
function metadataOf(manifest: Manifest, file: { sha256: string; bytes: number }): Record<string, string> {
  return {
    sha256: file.sha256,
    size: String(file.bytes),
    timestamp: manifest.snapshotAt,
    database: encodeURIComponent(manifest.database), // headers are ASCII
    version: manifest.server.version,
  };
}

/**
 * Checks before a backup whether the store can be written. A failure is a warning: a local backup is better than
 * none, and the store may be reachable again when the dump is done.
 */
export async function tryStore(store: Store): Promise<void> {
  try {
    await probeStore(store);
  } catch (error) {
    if (!isOffsite(error)) throw error;
    log.warn(`${textOf(error)}\n  The local backup is made anyway.`);
  }
}

/** @returns why the copy failed; undefined when it is there */
export async function copyOffsite(
  config: Config,
  store: Store,
  manifest: Manifest,
): Promise<OperationalError | undefined> {
  try {
    await uploadBackup(config, store, manifest);
    return undefined;
  } catch (error) {
    if (!isOffsite(error)) throw error;
    log.error(`${textOf(error)}\n  The local backup is in ${config.backupDir}.`);
    return error;
  }
}

const isOffsite = (error: unknown): error is OperationalError =>
  error instanceof OperationalError && error.exitCode === Exit.offsite;
