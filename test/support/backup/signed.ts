/** Backups with signatures, and what lies between them without. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { localBackups, storedBackups } from '../../../scripts/lib/backup/catalog.ts';
import { type ListedBackup, listBackups } from '../../../scripts/lib/backup/list.ts';
import { type Manifest, manifestName } from '../../../scripts/lib/backup/manifest.ts';
import { backUp } from '../../../scripts/lib/backup/run-backup.ts';
import { openStore } from '../../../scripts/lib/s3/open-store.ts';
import { captured } from '../core/here.ts';
import type { World } from '../core/world.ts';
import { forge } from '../restore/plain-dumps.ts';
import { configOf, lay, plant } from './old-backups.ts';

export const [KEY, OTHER] = ['a1'.repeat(32), 'b2'.repeat(32)] as [string, string];
export const SIGNED = { BACKUP_SIGNING_KEY: KEY };
export const manifestPath = (world: World, id: string) => join(world.env.BACKUP_DIR!, manifestName(id));
export const signatureOf = (path: string): string => JSON.parse(readFileSync(path, 'utf8')).signature;

/** What list-backups.ts shows, by id. */
export async function listed(
  world: World,
  env: Record<string, string>,
): Promise<Record<string, ListedBackup>> {
  const config = configOf(world, env);
  const found = [
    ...(await localBackups(config)),
    ...(await storedBackups(config, await openStore(config.s3!))),
  ];
  return Object.fromEntries(listBackups(found, []).map(each => [each.id, each]));
}

/**
 * What someone does who can write to the bucket: puts there a backup of other statements, newer than the last one.
 * @param signature of its manifest
 */
export async function forgeStored(
  world: World,
  { id }: Manifest,
  hoursNewer: number,
  first: string,
  signature?: string,
): Promise<Manifest> {
  const elsewhere = join(world.directory, `forged-${hoursNewer}`);
  const planted = await plant(world.env.BACKUP_DIR!, id, { days: -hoursNewer / 24 }, elsewhere);
  const forged = forge({ ...world, env: { BACKUP_DIR: elsewhere } }, planted, sql => `${first}\n${sql}`);
  if (signature) {
    const path = join(elsewhere, manifestName(forged.id));
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), signature }));
  }
  await lay(world, { BACKUP_DIR: elsewhere, S3_PREFIX: 'database' }, forged);
  return forged;
}

/** A backup as backup.ts makes it, of a server with this env file. */
export async function backUpWith(world: World, envFile: string, upload = true) {
  const config = { ...configOf(world, {}), envFile };
  const done = await captured(() => backUp(config, { format: 'plain', upload }));
  if (!done.value) throw new Error(done.error);
  return { ...done.value.json, stderr: done.stderr };
}
