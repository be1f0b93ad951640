/** The first key of an environment, and the backups from before it. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../config/config.ts';
import { readEnvFile, writeVariables } from '../config/env-file.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { hideSecrets, newSecret } from '../core/redact.ts';
import type { Store } from '../s3/open-store.ts';
import { readText } from '../s3/store.ts';
import { localBackups, newestFirst } from './catalog.ts';
import { type Manifest, manifestName, parseManifest } from './manifest.ts';
import { uploadManifest } from './offsite-copy.ts';
import { isSigned, sign } from './signature.ts';

const NAME = 'BACKUP_SIGNING_KEY';

/**
 * Makes the key on first use and writes it into the env file. The caller holds the environment's lock.
 *
 * @returns the configuration with a key, unless there is no env file or it can't be written, which is a warning; and
 *   sentences for the operator
 */
export async function withSigningKey(config: Config): Promise<{ config: Config; notes: string[] }> {
  if (config.signingKeys.length > 0) return { config, notes: [] };
  const { environment, envFile } = config;
  const file = `.env.${environment}`;
  const unsigned = (why: string) => {
    log.warn(
      `backups are not signed: ${why}. Whoever can write to the bucket can have a forged backup restored\n` +
        `  → run openssl rand -hex 32 and set ${NAME} to what it prints.`,
    );
    return { config, notes: [] };
  };
  if (!existsSync(envFile))
    return unsigned(`${NAME} is not set, and there is no ${file} here to write a key to`);
  // Another run has made one since this one read the file.
  const made = readEnvFile(envFile).values[NAME];
  const key = made || newSecret();
  hideSecrets([key]);
  const keyed = { ...config, signingKeys: [key] };
  if (made) return { config: keyed, notes: [] };
  try {
    await noteUnsigned(config);
    await writeVariables(envFile, { [NAME]: key });
  } catch (error) {
    await rm(unsignedFile(config), { force: true });
    return unsigned(messageOf(error));
  }
  const note =
    `made ${NAME} in ${envFile}: from now on latest, drills and retention use only backups that are signed with it. Keep ` +
    'a copy of that file outside of the bucket, and recreate a running backup service, which reads it when it starts';
  log.done(note);
  return { config: keyed, notes: [note] };
}

/** The ids of the backups that were there before the key: what is signed when a killed run or the store left some. */
const unsignedFile = ({ stateDir, environment }: Config) =>
  join(stateDir, `${environment}.unsigned-backups.json`);
const idsSchema = v.pipe(v.string(), v.parseJson(), v.array(v.string()));

async function noteUnsigned(config: Config): Promise<void> {
  const ids = newestFirst(await localBackups(config)).map(({ id }) => id);
  await mkdir(config.stateDir, { recursive: true, mode: 0o700 });
  await writeWhole(unsignedFile(config), JSON.stringify(ids));
}

async function unsignedIds(config: Config): Promise<string[]> {
  const path = unsignedFile(config);
  if (config.signingKeys.length === 0 || !existsSync(path)) return [];
  const parsed = v.safeParse(idsSchema, await readFile(path, 'utf8'));
  if (!parsed.success) log.warn(`${path} is damaged and is ignored`);
  return parsed.success ? parsed.output : [];
}

/**
 * Signs the local backups that were there before the key. Those with a signature, of a lost key, keep it.
 * @returns false after a failure, which is a warning: the next run goes on
 */
export async function signLocal(config: Config): Promise<boolean> {
  let signed = 0;
  try {
    for (const id of await unsignedIds(config)) {
      const path = join(config.backupDir, manifestName(id));
      if (!existsSync(path)) continue; // expired since
      const text = await readFile(path, 'utf8');
      if (!readManifest(text, id) || isSigned(text)) continue;
      // Not <id>.json.partial: that marks an unfinished backup, whose files the next run removes.
      const replacement = join(config.backupDir, '.signed.json');
      await writeWhole(replacement, sign(text, config.signingKeys[0]));
      await rename(replacement, path);
      signed++;
    }
  } catch (error) {
    log.warn(
      `local backups from before the key are not signed yet: ${messageOf(error)}; the next backup goes on`,
    );
    return false;
  }
  if (signed > 0) log.done(`signed ${plural(signed, 'local backup')} from before the key`);
  return true;
}

/**
 * Gives their signature to the copies of these backups in the store. A copy that differs from the local backup is left.
 * A failure is a warning: the next run goes on.
 */
export async function signStored(config: Config, store: Store | undefined): Promise<void> {
  let signed = 0;
  try {
    for (const id of store ? await unsignedIds(config) : []) {
      const path = join(config.backupDir, manifestName(id));
      const local = existsSync(path) ? readManifest(await readFile(path, 'utf8'), id) : undefined;
      const text = local && (await readText(store!, manifestName(id)));
      if (!text || JSON.stringify(readManifest(text, id)) !== JSON.stringify(local)) continue;
      if (isSigned(text)) continue;
      await uploadManifest(config, store!, local);
      signed++;
    }
    if (signed > 0) log.done(`signed the off-site copies of ${plural(signed, 'backup')} from before the key`);
    if (store || !config.s3) await rm(unsignedFile(config), { force: true });
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    log.warn(
      `off-site copies of older backups are not signed yet: ${messageOf(error)}; the next backup goes on`,
    );
  }
}

/** @returns undefined for one that is damaged, which is not worth a signature */
function readManifest(text: string, id: string): Manifest | undefined {
  try {
    return parseManifest(text, id);
  } catch (error) {
    if (error instanceof OperationalError) return undefined;
    throw error;
  }
}
