/** The directory of the backups: BACKUP_DIR. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { checkDirectory, privateDirectory } from '../core/files.ts';
import { type Store, urlOf } from '../s3/open-store.ts';
import { listObjects } from '../s3/store.ts';
import { isOurs, parseArtifactName, parseId } from './manifest.ts';

/** Where a look at a backup unpacks it: `.look-<random>`. */
export const LOOK = '.look-';

/** Names of dumps, also of those that other programs make. */
const DUMP = /^[^.].*\.(sql|sql\.gz|dump|dump\.zst|dump\.gz|backup|tar)$/;
/** Manifests, and what runs of these scripts leave. */
const OURS = /\.(json|partial)$|^\.(fetched|drill|look)-/;

const isKnown = (entry: string) => OURS.test(entry) || DUMP.test(entry);

/** Makes BACKUP_DIR if it is missing, readable by its owner only. @throws OperationalError as `privateDirectory` */
export function makeBackupDirectory({ backupDir }: Config): Promise<void> {
  return privateDirectory(backupDir, 'BACKUP_DIR', isKnown);
}

/** Checks whether backups can be written to BACKUP_DIR, and changes nothing. @throws OperationalError as `checkDirectory` */
export function checkBackupDirectory({ backupDir }: Config): Promise<void> {
  return checkDirectory(backupDir, 'BACKUP_DIR', isKnown);
}

/** @returns the dumps in BACKUP_DIR that are no backups of this app and environment, by name */
export async function foreignDumps(config: Config): Promise<string[]> {
  const names = await readdir(config.backupDir).catch(() => [] as string[]);
  const isForeign = (name: string) =>
    DUMP.test(name) &&
    !name.endsWith('.globals.sql.gz') &&
    !isOurs(parseArtifactName(name)?.id ?? '', config);
  return names.filter(isForeign).sort();
}

/**
 * @returns the addresses of the dumps directly below S3_PREFIX that these scripts did not make. Their own, of whichever app
 *   and environment, have a manifest and are not among them: environments share buckets
 * @throws exit code 4
 */
export async function foreignObjects(store: Store): Promise<string[]> {
  const isForeign = (name: string) =>
    !name.includes('/') &&
    DUMP.test(name) &&
    !name.endsWith('.globals.sql.gz') &&
    !parseId(parseArtifactName(name)?.id ?? '');
  const names = (await listObjects(store, '')).map(({ name }) => name);
  return names
    .filter(isForeign)
    .sort()
    .map(name => urlOf(store, name));
}

/**
 * A temporary directory for a run that only looks at a backup; the caller removes it. It is in BACKUP_DIR, whose disk
 * has room for backups, unless that does not exist: looking does not make it.
 */
export function makeLookingDirectory({ backupDir }: Config): Promise<string> {
  return mkdtemp(join(existsSync(backupDir) ? backupDir : tmpdir(), LOOK));
}
