/** What a killed upload leaves in the store. Only under the lock: an upload in progress looks the same. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { Exit, OperationalError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { type Store, urlOf } from '../s3/open-store.ts';
import { deleteObject, listObjects } from '../s3/store.ts';
import { abortUpload, type UnfinishedUpload, unfinishedUploads } from '../s3/unfinished-uploads.ts';
import { isOurs, manifestName } from './manifest.ts';

/** In ms. The upload of a backup that is not here may be another server's, which is done with it after this time. */
const DAY = 86_400_000;

const idOf = (name: string) => name.replace(/\..*$/, '');
const isHere = ({ backupDir }: Config, id: string) => existsSync(join(backupDir, manifestName(id)));

/**
 * Aborts the multipart uploads that killed runs of this app and environment left. A store without a list of them, or
 * without the right to it, is no failure, but is logged.
 */
export async function abortUnfinishedUploads(config: Config, store: Store): Promise<void> {
  const isLeft = ({ name, begunAt }: UnfinishedUpload) =>
    isOurs(idOf(name), config) && (isHere(config, idOf(name)) || begunAt < Date.now() - DAY);
  try {
    const left = (await unfinishedUploads(store, `${config.app}_${config.environment}_`)).filter(isLeft);
    for (const upload of left) await abortUpload(store, upload);
    const names = [...new Set(left.map(({ name }) => name))].join(', ');
    if (left.length > 0)
      log.warn(`aborted ${plural(left.length, 'upload')} that an earlier run did not finish: ${names}`);
  } catch (error) {
    if (!(error instanceof OperationalError) || error.exitCode !== Exit.offsite) throw error;
    log.info(
      `unfinished uploads of earlier runs may be left; a lifecycle rule of the bucket can abort them: ${error.message}`,
    );
  }
}

/**
 * Removes files without a manifest whose backup exists here.
 * @throws exit code 4
 */
export async function removeUnfinishedCopies(config: Config, store: Store): Promise<void> {
  const objects = await listObjects(store, `${config.app}_${config.environment}_`);
  const names = new Set(objects.map(({ name }) => name));
  for (const name of names) {
    const id = idOf(name);
    if (!isOurs(id, config) || names.has(manifestName(id)) || !isHere(config, id)) continue;
    log.warn(`an earlier run did not finish copying ${id}; removing ${urlOf(store, name)}`);
    await deleteObject(store, name);
  }
}
