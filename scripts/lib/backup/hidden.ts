/** Backups that a deletion has only hidden, in a bucket that keeps versions. */
import type { Config } from '../config/config.ts';
import { verificationError } from '../core/errors.ts';
import type { Store } from '../s3/open-store.ts';
import { type KeptObject, keptObjects, removeMarker } from '../s3/versions.ts';
import { storedBackups } from './catalog.ts';
import { globalsName, isOurs, manifestName, parseArtifactName } from './manifest.ts';

/** As unhide-backup.ts prints it with --json. */
export interface HiddenBackup {
  id: string;
  /** Of the artifact; 0: none is left. */
  bytes: number;
  hiddenAt: string;
  /** Whether the bucket still has all its files. */
  isComplete: boolean;
}

type Files = Map<string, KeptObject>;

async function filesById({ app, environment }: Config, store: Store): Promise<Map<string, Files>> {
  const byId = new Map<string, Files>();
  for (const kept of await keptObjects(store, `${app}_${environment}_`)) {
    const id = kept.name.replace(/\..*$/, '');
    if (isOurs(id, { app, environment })) byId.set(id, (byId.get(id) ?? new Map()).set(kept.name, kept));
  }
  return byId;
}

const artifactOf = (files: Files) => [...files.values()].find(({ name }) => parseArtifactName(name));
const isComplete = (id: string, files: Files) =>
  files.has(manifestName(id)) && files.has(globalsName(id)) && artifactOf(files) !== undefined;

/** @returns the backups of which a file is hidden, newest first. @throws exit code 4 */
export async function hiddenBackups(config: Config, store: Store): Promise<HiddenBackup[]> {
  return [...(await filesById(config, store))]
    .flatMap(([id, files]) => {
      const times = [...files.values()].flatMap(({ hiddenAt }) => hiddenAt ?? []);
      if (times.length === 0) return [];
      const hiddenAt = new Date(Math.max(...times.map(Number))).toISOString();
      return { id, bytes: artifactOf(files)?.bytes ?? 0, hiddenAt, isComplete: isComplete(id, files) };
    })
    .sort((a, b) => b.id.localeCompare(a.id));
}

/**
 * Removes the delete markers of a backup, those of its manifest last: it exists again when it is whole. A run that is
 * killed can be repeated.
 *
 * @param remove default: removes a marker
 * @returns the names of the files that were hidden
 * @throws exit code 3 when it is not hidden, or not whole, or not what its manifest says; 4 when the store refuses
 */
export async function unhide(
  config: Config,
  store: Store,
  id: string,
  remove = removeMarker,
): Promise<string[]> {
  const files = (await filesById(config, store)).get(id) ?? new Map<string, KeptObject>();
  const hidden = [...files.values()].filter(({ markers }) => markers.length > 0);
  const listed = './scripts/unhide-backup.ts lists those that are.';
  if (hidden.length === 0) throw verificationError(`${id} is not hidden by delete markers in S3`, listed);
  if (!isComplete(id, files))
    throw verificationError(`files of ${id} are deleted in S3, not only hidden`, listed);
  hidden.sort((a, b) => Number(a.name === manifestName(id)) - Number(b.name === manifestName(id)));
  for (const { name, markers } of hidden) for (const marker of markers) await remove(store, name, marker);
  return hidden.map(({ name }) => name);
}

/** @returns what is wrong with a backup in the store; undefined: it is verified. @throws exit code 4 */
export async function problemInStore(config: Config, store: Store, id: string): Promise<string | undefined> {
  const found = (await storedBackups(config, store)).find(each => each.id === id);
  return found ? found.problem : 'it is not in the list of the store';
}
