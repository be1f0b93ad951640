import { existsSync, statSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { PARTIAL, privateDirectory, publish, sha256, sizeOf, sync, writeWhole } from '../core/files.ts';
import { count, plural } from '../core/format.ts';
import { log, redact } from '../core/log.ts';
import { enoughSpace, freeSpace } from '../core/machine.ts';
import { preflight } from '../core/preflight.ts';
import { withProgress } from '../core/progress.ts';
import { interrupt } from '../core/signals.ts';
import {
  producer,
  programVersion,
  type Query,
  query,
  type ServerFacts,
  serverFacts,
} from '../postgres/client.ts';
import { readProperties } from '../postgres/database-properties.ts';
import { ICU_LOCALE } from '../postgres/databases.ts';
import { countRows, totalRows } from '../postgres/row-counts.ts';
import { openSession } from '../postgres/session.ts';
import { compressorVersion, decode, dumpPipeline, globalsPipeline, writingFile } from './artifact.ts';
import { localBackups, newestFirst } from './catalog.ts';
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

export interface BackupPlan {
  server: ServerFacts;
  pgDump: string;
  compressor: string;
  /** What the artifact will take, in bytes: from the last backup, else from the database's size. */
  estimate: number;
}

/**
 * Looks whether a backup can be made, without changing anything but the backup directory's mode.
 * @param known what the caller has already asked the server
 * @throws an operational error that lists all that stands in the way
 */
export async function planBackup(config: Config, format: Format, known?: ServerFacts): Promise<BackupPlan> {
  const { postgres, backupDir } = config;
  const [{ server, pgDump, compressor, databaseBytes }] = await preflight(
    async () => {
      const server = known ?? (await serverFacts(postgres));
      const pgDump = await programVersion(postgres, 'pg_dump');
      refuseOlderClient(pgDump, server);
      const compressor = await compressorVersion(postgres, format);
      return { server, pgDump, compressor, databaseBytes: await databaseSize(config) };
    },
    () => privateDirectory(backupDir, 'BACKUP_DIR'),
  );
  const last = newestFirst(await localBackups(config)).find(({ manifest }) => manifest.format === format);
  const estimate = last ? last.bytes : Math.ceil(databaseBytes / 4);
  enoughSpace(`BACKUP_DIR (${backupDir})`, await freeSpace(backupDir), Math.ceil(estimate * 1.2));
  return { server, pgDump, compressor, estimate };
}

function refuseOlderClient(pgDump: string, server: ServerFacts): void {
  if (Number.parseInt(pgDump, 10) >= server.major) return;
  throw new OperationalError(
    `pg_dump ${pgDump} can't dump a server of version ${server.version}`,
    `install postgresql-client-${server.major}.`,
  );
}

async function databaseSize({ postgres }: Config): Promise<number> {
  const { database } = postgres;
  const [row] = await query<{ bytes: number }>(
    postgres,
    database,
    'SELECT pg_database_size(current_database()) AS bytes',
  );
  return row!.bytes;
}

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
    const facts = await describeDatabase(session.query, database);
    const measure = () => statSync(artifact + PARTIAL, { throwIfNoEntry: false })?.size ?? 0;
    const command = producer(postgres, dumpPipeline(database, format, snapshot!.id));
    await withProgress({ label: 'Dumping', measure, total: plan.estimate }, () =>
      writingFile(command, artifact + PARTIAL, { purpose: `dump ${database}` }),
    );
    await writingFile(producer(postgres, globalsPipeline()), globals + PARTIAL, {
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

/** What a manifest says of the database beside its rows. */
async function describeDatabase(query: Query, name: string) {
  const [database] = await query<{
    snapshotAt: string;
    encoding: string;
    collate: string;
    ctype: string;
    icuLocale: string | null;
    databaseBytes: number;
    largeObjects: number;
    migrations: boolean;
  }>(`SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "snapshotAt",
      pg_encoding_to_char(encoding) AS encoding, datcollate AS collate, datctype AS ctype, ${ICU_LOCALE},
      pg_database_size(d.oid) AS "databaseBytes",
      (SELECT count(*) FROM pg_largeobject_metadata) AS "largeObjects",
      to_regclass('public._prisma_migrations') IS NOT NULL AS migrations
    FROM pg_database d WHERE datname = current_database()`);
  const { encoding, collate, ctype, icuLocale, migrations, ...rest } = database!;
  const extensions = await query<{ name: string; version: string }>(
    'SELECT extname AS name, extversion AS version FROM pg_extension ORDER BY extname',
  );
  const [head] = migrations
    ? await query<{ name: string }>(`SELECT migration_name AS name FROM public._prisma_migrations
        WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY finished_at DESC, migration_name DESC LIMIT 1`)
    : [];
  return {
    ...rest,
    server: { encoding, collate, ctype, icuLocale },
    properties: await readProperties(query, name),
    extensions,
    migrationHead: head?.name ?? null,
  };
}

async function verify({ postgres }: Config, format: Format, artifact: string, globals: string) {
  await sync(artifact + PARTIAL);
  log.status('Verifying: decoding all of it');
  const [files] = await Promise.all([
    Promise.all([describe(artifact), describe(globals)]),
    decode(postgres, artifact + PARTIAL, format),
    decode(postgres, globals + PARTIAL, 'plain'),
  ]);
  log.done('verified: decoded to the last block, checksums taken');
  return { artifact: files[0], globals: files[1] };
}

async function describe(path: string): Promise<Manifest['artifact']> {
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
