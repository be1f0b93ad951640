import { existsSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { PARTIAL, publish, sha256, sizeOf, sync, writeWhole } from '../core/files.ts';
import { log } from '../core/log.ts';
import { redact } from '../core/redact.ts';
import { interrupt } from '../core/signals.ts';
import { makeBackupDirectory } from './directory.ts';
import { dump } from './dump.ts';
import {
  artifactName,
  type Format,
  globalsName,
  isOurs,
  type Manifest,
  manifestName,
  newId,
  serialize,
} from './manifest.ts';
import type { BackupPlan } from './plan.ts';
import { sign } from './signature.ts';
import { decode } from './verify.ts';

interface Wanted {
  format: Format;
  label?: string;
  safety?: boolean;
  /** Whether it is to have a copy in S3; default: no. */
  offsite?: boolean;
}

/**
 * Dumps the database from one snapshot, verifies the files on disk and writes the manifest. The caller holds
 * the environment's lock. A killed run leaves no backup, only files that the next run removes.
 *
 * @throws exit code 3 when the dump can't be read back; there is then no new backup
 */
export async function createBackup(
  config: Config,
  plan: BackupPlan,
  { format, label, safety = false, offsite = false }: Wanted,
): Promise<Manifest> {
  await makeBackupDirectory(config);
  await removeUnfinished(config);
  const startedAt = new Date();
  const id = freeId(config, startedAt);
  const at = (name: string) => join(config.backupDir, name);
  const [artifact, globals, manifestFile] = [artifactName(id, format), globalsName(id), manifestName(id)];
  try {
    // Marks a run in progress: while it exists, the files of this id are not a backup.
    await writeFile(at(manifestFile) + PARTIAL, '', { mode: 0o600 });
    const { server, estimate, shared } = plan;
    const wanted = { format, artifact: at(artifact), globals: at(globals), estimate, shared };
    const facts = await dump(config, server, wanted);
    const files = await verifyFiles(config, format, at(artifact), at(globals));
    const manifest: Manifest = {
      version: 2,
      id,
      app: config.app,
      environment: config.environment,
      database: config.postgres.database,
      label: label === undefined ? null : redact(label),
      safety,
      offsite,
      startedAt: startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      format,
      ...files,
      tools: { pgDump: plan.pgDump, compressor: plan.compressor },
      verification: { level: 'decoded', at: new Date().toISOString() },
      ...facts,
      server: { version: server.version, ...facts.server },
    };
    await publish(at(artifact));
    await publish(at(globals));
    await writeWhole(at(manifestFile), sign(serialize(manifest), config.signingKeys[0]));
    return manifest;
  } catch (error) {
    await removeFilesOf(config, id);
    throw error;
  }
}

/** Ids have whole seconds: a second backup in the same second takes the next free one. */
function freeId(config: Config, start: Date): string {
  for (let time = start.getTime(); ; time += 1000) {
    const id = newId(config, new Date(time));
    const names = [artifactName(id, 'plain'), artifactName(id, 'custom'), manifestName(id)];
    if (!names.some(name => existsSync(join(config.backupDir, name)))) return id;
  }
}

async function verifyFiles({ postgres }: Config, format: Format, artifact: string, globals: string) {
  await sync(artifact + PARTIAL);
  log.status('Verifying: decoding all blocks');
  const [files] = await Promise.all([
    Promise.all([fileEntry(artifact), fileEntry(globals)]),
    decode(postgres, artifact + PARTIAL, format),
    decode(postgres, globals + PARTIAL, 'plain'),
  ]);
  log.done('verified: all blocks decoded, checksums computed');
  return { artifact: files[0], globals: files[1] };
}

async function fileEntry(path: string): Promise<Manifest['artifact']> {
  const size = (await sizeOf(path + PARTIAL))!;
  return { name: basename(path), bytes: size, sha256: await sha256(path + PARTIAL, interrupt) };
}

/** @returns the ids of backups that killed runs have begun; without the lock, also of one that is in progress */
export async function unfinishedBackups(config: Config): Promise<string[]> {
  const mark = '.json' + PARTIAL;
  const names = await readdir(config.backupDir).catch(() => [] as string[]);
  return names
    .filter(name => name.endsWith(mark))
    .map(name => name.slice(0, -mark.length))
    .filter(id => isOurs(id, config));
}

/** Removes the files of killed runs. Only under the lock: without it, the run may still be in progress. */
export async function removeUnfinished(config: Config): Promise<void> {
  for (const id of await unfinishedBackups(config)) {
    log.warn(`an earlier run did not finish ${id}; removing its files`);
    await removeFilesOf(config, id);
  }
}

/** Removes the mark last: killed here, the rest still does not look like a backup. */
async function removeFilesOf(config: Config, id: string): Promise<void> {
  const mark = manifestName(id) + PARTIAL;
  const names = (await readdir(config.backupDir)).filter(name => name.startsWith(`${id}.`) && name !== mark);
  for (const name of [...names, mark]) await rm(join(config.backupDir, name), { force: true });
}
