import { existsSync, statSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { PARTIAL, publish, sha256, sizeOf, sync, writeWhole } from '../core/files.ts';
import { count, plural } from '../core/format.ts';
import { log, redact } from '../core/log.ts';
import { withProgress } from '../core/progress.ts';
import { interrupt } from '../core/signals.ts';
import { producer } from '../postgres/client.ts';
import { runIntoFile } from '../postgres/redirect.ts';
import { countRows, totalRows } from '../postgres/row-counts.ts';
import { openSession } from '../postgres/session.ts';
import { readFacts } from './database-facts.ts';
import { dumpPipeline, globalsPipeline } from './dump-commands.ts';
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
import { decode } from './verify.ts';

/**
 * Dumps the database from one snapshot, verifies what lies on disk and makes it a backup. The caller holds
 * the environment's lock. Killed anywhere, it leaves nothing that counts as a backup, and the next run
 * removes what it left.
 */
export async function createBackup(
  config: Config,
  plan: BackupPlan,
  { format, label, safety = false }: { format: Format; label?: string; safety?: boolean },
): Promise<Manifest> {
  await removeUnfinished(config);
  const startedAt = new Date();
  const id = freeId(config, startedAt);
  const at = (name: string) => join(config.backupDir, name);
  const [artifact, globals, manifestFile] = [artifactName(id, format), globalsName(id), manifestName(id)];
  try {
    // The mark of a run under way: as long as it is there, all files of this id are nobody's backup.
    await writeFile(at(manifestFile) + PARTIAL, '', { mode: 0o600 });
    const facts = await dump(config, plan, format, at(artifact), at(globals));
    const files = await verify(config, format, at(artifact), at(globals));
    const manifest: Manifest = {
      version: 1,
      id,
      app: config.app,
      environment: config.environment,
      database: config.postgres.database,
      label: label === undefined ? null : redact(label),
      safety,
      startedAt: startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      format,
      ...files,
      tools: { pgDump: plan.pgDump, compressor: plan.compressor },
      verification: { level: 'decoded', at: new Date().toISOString() },
      ...facts,
      server: { version: plan.server.version, ...facts.server },
    };
    await publish(at(artifact));
    await publish(at(globals));
    await writeWhole(at(manifestFile), serialize(manifest));
    return manifest;
  } catch (error) {
    await removeFilesOf(config, id);
    throw error;
  }
}

/** Names have whole seconds; a run right after another waits for no clock but takes the next free one. */
function freeId(config: Config, start: Date): string {
  for (let time = start.getTime(); ; time += 1000) {
    const id = newId(config, new Date(time));
    const names = [artifactName(id, 'plain'), artifactName(id, 'custom'), manifestName(id)];
    if (!names.some(name => existsSync(join(config.backupDir, name)))) return id;
  }
}

async function dump(config: Config, plan: BackupPlan, format: Format, artifact: string, globals: string) {
  const { postgres } = config;
  const { database } = postgres;
  const session = openSession(postgres, database);
  try {
    await session.execute('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await session.execute('SET LOCAL row_security = off'); // an error rather than rows left out
    const [snapshot] = await session.query<{ id: string }>('SELECT pg_export_snapshot() AS id');
    const facts = await readFacts(session.query, database);
    const measure = () => statSync(artifact + PARTIAL, { throwIfNoEntry: false })?.size ?? 0;
    const command = producer(postgres, dumpPipeline(database, format, snapshot!.id));
    await withProgress({ label: 'Dumping', measure, total: plan.estimate }, () =>
      runIntoFile(command, artifact + PARTIAL, { purpose: `dump ${database}` }),
    );
    await runIntoFile(producer(postgres, globalsPipeline()), globals + PARTIAL, {
      purpose: 'dump roles and settings',
    });
    const tables = await countRows(session.query);
    log.done(
      `counted ${count(totalRows(tables))} rows in ${plural(tables.length, 'table')} of the same snapshot`,
    );
    return { ...facts, tables };
  } finally {
    await session.close();
  }
}

async function verify({ postgres }: Config, format: Format, artifact: string, globals: string) {
  await sync(artifact + PARTIAL);
  log.status('Verifying: decoding all of it');
  const [files] = await Promise.all([
    Promise.all([fileEntry(artifact), fileEntry(globals)]),
    decode(postgres, artifact + PARTIAL, format),
    decode(postgres, globals + PARTIAL, 'plain'),
  ]);
  log.done('verified: decoded to the last block, checksums taken');
  return { artifact: files[0], globals: files[1] };
}

async function fileEntry(path: string): Promise<Manifest['artifact']> {
  const size = (await sizeOf(path + PARTIAL))!;
  return { name: basename(path), bytes: size, sha256: await sha256(path + PARTIAL, interrupt) };
}

/** Removes what killed runs of this app and environment left. Only under the lock: a mark may be in use. */
async function removeUnfinished(config: Config): Promise<void> {
  for (const name of await readdir(config.backupDir)) {
    const id = name.endsWith('.json' + PARTIAL) ? name.slice(0, -('.json' + PARTIAL).length) : '';
    if (!isOurs(id, config)) continue;
    log.warn(`an earlier run did not finish ${id}; removing what it left`);
    await removeFilesOf(config, id);
  }
}

/** The mark goes last, so that a kill here leaves nothing that looks like a backup. */
async function removeFilesOf(config: Config, id: string): Promise<void> {
  const mark = manifestName(id) + PARTIAL;
  const names = (await readdir(config.backupDir)).filter(name => name.startsWith(`${id}.`) && name !== mark);
  for (const name of [...names, mark]) await rm(join(config.backupDir, name), { force: true });
}
