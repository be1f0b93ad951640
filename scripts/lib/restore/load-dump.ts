import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { decompressTo, parallelRestore, streamRestore } from '../backup/dump-commands.ts';
import type { LocalSource } from '../backup/fetch.ts';
import type { Manifest } from '../backup/manifest.ts';
import type { Config, Postgres } from '../config/config.ts';
import { verificationError } from '../core/errors.ts';
import { bytes, count, plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { withProgress } from '../core/progress.ts';
import { run } from '../core/shell.ts';
import { client, laterLimits, toDatabase } from '../postgres/client.ts';
import { createLike, sizeOfDatabase } from '../postgres/databases.ts';
import { freeSpaceOf } from '../postgres/disk-space.ts';
import { runFromFile } from '../postgres/redirect.ts';
import { compareRows, countRows, totalRows } from '../postgres/row-counts.ts';
import { openSession } from '../postgres/session.ts';

/** MiB of maintenance_work_mem, shared by all connections of one load. */
const LOAD_MEMORY = 1024;

/**
 * Loads a checked source into a new database and compares it with its manifest. The caller drops the new database after
 * a failure.
 *
 * @param like the database whose encoding, locale and owner the new one gets, if it exists
 * @throws CommandError where loading fails; exit code 3 where the rows are not those of the manifest
 */
export async function loadInto(
  config: Config,
  source: LocalSource,
  name: string,
  like: string,
): Promise<void> {
  const { postgres } = config;
  await createLike(postgres, name, like, source.manifest?.server);
  await load(config, source, name);
  await compare(postgres, source.manifest, name);
}

async function load({ postgres }: Config, source: LocalSource, name: string): Promise<void> {
  const jobs = source.format === 'custom' ? availableParallelism() : 1;
  const limits = await laterLimits(postgres, name);
  const settings = `${limits} -c synchronous_commit=off -c maintenance_work_mem=${Math.floor(LOAD_MEMORY / jobs)}MB`;
  const path = join(source.directory, source.artifact);
  const purpose = `load ${source.name} into ${name}`;
  const measure = () => sizeOfDatabase(postgres, name).catch(() => 0);
  const total = source.manifest?.databaseBytes;
  await withProgress({ label: 'Loading', measure, total }, async () => {
    if (jobs > 1 && (await scratchFits(postgres, source)))
      await loadInParallel(postgres, source, name, jobs, { purpose, settings });
    else await runFromFile(postgres, streamRestore(name, source.format), path, { purpose, settings });
  });
  // Without statistics the planner guesses, and the first queries after the swap are slow.
  const vacuumdb = [
    'vacuumdb',
    '--analyze-only',
    '--quiet',
    '--no-password',
    `--jobs=${availableParallelism()}`,
    `--dbname=${toDatabase(name)}`,
  ];
  const analyze = client(postgres, vacuumdb, limits);
  await run(analyze.argv, {
    env: analyze.env,
    purpose: `gather statistics of ${name}`,
    timeout: Number.POSITIVE_INFINITY,
  });
}

/** Where pg_restore finds the decompressed dump: in the container, if PostgreSQL's programs run there. */
function scratchOf(postgres: Postgres, { work }: LocalSource): string {
  return join(postgres.container ? '/tmp' : work, `${basename(work)}.dump`);
}

/** pg_restore uses several connections only with a seekable file, so the dump is decompressed to disk first. */
async function scratchFits(postgres: Postgres, source: LocalSource): Promise<boolean> {
  const where = dirname(scratchOf(postgres, source));
  const needed = 1.2 * (source.manifest?.databaseBytes ?? 0);
  const free = await freeSpaceOf(postgres, where);
  if (free > needed) return true;
  log.warn(
    `${where} has ${bytes(free)} free, too little to decompress ${source.artifact}: loading with one connection`,
  );
  return false;
}

async function loadInParallel(
  postgres: Postgres,
  source: LocalSource,
  name: string,
  jobs: number,
  options: { purpose: string; settings: string },
): Promise<void> {
  const path = join(source.directory, source.artifact);
  const scratch = scratchOf(postgres, source);
  try {
    await runFromFile(postgres, decompressTo(scratch), path, { purpose: 'decompress the dump' });
    const { argv, env } = client(postgres, parallelRestore(name, scratch, jobs), options.settings);
    await run(argv, { env, purpose: options.purpose, timeout: Number.POSITIVE_INFINITY });
  } finally {
    const { argv, env } = client(postgres, ['rm', '-f', scratch]);
    await run(argv, { env, purpose: `remove ${scratch}`, evenInterrupted: true });
  }
}

/** Counts in one session, which is closed before the database is renamed. */
async function countContent(postgres: Postgres, name: string) {
  const session = openSession(postgres, name);
  try {
    const tables = await countRows(session.query);
    const [row] = await session.query<{ count: number }>('SELECT count(*) FROM pg_largeobject_metadata');
    return { tables, objects: row!.count };
  } finally {
    await session.close();
  }
}

async function compare(postgres: Postgres, manifest: Manifest | null, name: string): Promise<void> {
  const { tables, objects } = await countContent(postgres, name);
  const summary = `${count(totalRows(tables))} rows in ${plural(tables.length, 'table')}`;
  if (!manifest) {
    log.warn(`loaded ${summary}; not compared, because there is no manifest`);
    return;
  }
  const differences = compareRows(manifest.tables, tables);
  if (objects !== manifest.largeObjects) {
    differences.push(`there are ${objects} large objects, not ${manifest.largeObjects}`);
  }
  if (differences.length > 0) {
    const shown = differences.slice(0, 10).map(difference => `\n  ${difference}`);
    throw verificationError(
      `the loaded data is not the data of the backup (${plural(differences.length, 'difference')}):${shown.join('')}`,
      'the live database is unchanged. Restore another backup: list-backups.ts shows them.',
    );
  }
  log.done(`compared with the backup: ${summary}`);
}
