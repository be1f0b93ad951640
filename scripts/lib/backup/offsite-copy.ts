import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { Exit, messageOf, OperationalError, textOf } from '../core/errors.ts';
import { sha256, sizeOf } from '../core/files.ts';
import { log } from '../core/log.ts';
import { withProgress } from '../core/progress.ts';
import { LOOK_RETRY_SECONDS, lacking, lookAtStore } from '../s3/look.ts';
import { openStore, type Store, urlOf } from '../s3/open-store.ts';
import { probeStore, Unverifiable } from '../s3/probe.ts';
import { deleteObject } from '../s3/store.ts';
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
 * Checks before a backup what the key may do, and writes as the backup will be written. A failure is a warning: a local
 * backup is better than none, and the store may be reachable again when the dump is done.
 *
 * @returns why there must be no copy, if nothing could show that it is right
 */
export async function tryStore(store: Store): Promise<OperationalError | undefined> {
  try {
    // With attempts of its own: what is given up here is tried again after the dump.
    const brief = await openStore(store.settings, Math.min(store.settings.retryTime, LOOK_RETRY_SECONDS));
    const facts = await lookAtStore(brief);
    store.checksum = brief.checksum;
    const rights = await probeStore(brief);
    store.checksum = brief.checksum;
    for (const line of lacking({ rights: { ...facts.rights, ...rights } })) log.info(line);
    return undefined;
  } catch (error) {
    if (!isOffsite(error)) throw error;
    log.warn(`${textOf(error)}\n  The local backup is made anyway.`);
    return error instanceof Unverifiable ? error : undefined;
  }
}

/**
 * @param refusal why there must be no copy
 * @returns why the copy failed; undefined when it is there
 */
export async function copyOffsite(
  config: Config,
  store: Store,
  manifest: Manifest,
  refusal?: OperationalError,
): Promise<OperationalError | undefined> {
  try {
    if (refusal) throw refusal;
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
