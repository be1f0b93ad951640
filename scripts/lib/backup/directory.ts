/** The directory of the backups: BACKUP_DIR. */
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { checkDirectory, privateDirectory } from '../core/files.ts';

/** Where a look at a backup unpacks it: `.look-<random>`. */
export const LOOK = '.look-';

/** Dumps, manifests and what runs of these scripts leave; dumps of other programs as well. */
const OURS = /\.(sql|sql\.gz|dump|dump\.zst|json|partial)$|^\.(fetched|drill|look)-/;

const isOurs = (entry: string) => OURS.test(entry);

/** Makes BACKUP_DIR if it is missing, readable by its owner only. @throws OperationalError as `privateDirectory` */
export function makeBackupDirectory({ backupDir }: Config): Promise<void> {
  return privateDirectory(backupDir, 'BACKUP_DIR', isOurs);
}

/** Checks whether backups can be written to BACKUP_DIR, and changes nothing. @throws OperationalError as `checkDirectory` */
export function checkBackupDirectory({ backupDir }: Config): Promise<void> {
  return checkDirectory(backupDir, 'BACKUP_DIR', isOurs);
}

/**
 * A temporary directory for a run that only looks at a backup; the caller removes it. It is in BACKUP_DIR, whose disk
 * has room for backups, unless that does not exist: looking does not make it.
 */
export function makeLookingDirectory({ backupDir }: Config): Promise<string> {
  return mkdtemp(join(existsSync(backupDir) ? backupDir : tmpdir(), LOOK));
}
