import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '../backup/manifest.ts';
import type { CheckedSource } from '../backup/verify.ts';
import type { Config, Postgres } from '../config/config.ts';
import { verificationError } from '../core/errors.ts';
import { count, plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { withProgress } from '../core/progress.ts';
import { CommandError, run } from '../core/shell.ts';
import { client, toDatabase } from '../postgres/client.ts';
import { createLike, drop, sizeOfDatabase } from '../postgres/databases.ts';
import { compareRows, countRows, totalRows } from '../postgres/row-counts.ts';
import { openSession } from '../postgres/session.ts';
import { mayGoOn, refuseLost, refuseUnaccepted } from './judge-errors.ts';
import { loadCustom } from './load-custom.ts';
import type { LoadError } from './load-errors.ts';
import { collectPlain, loadPlain } from './load-plain.ts';

/** MiB of maintenance_work_mem, shared by all connections of one load. */
const LOAD_MEMORY = 1024;

/**
 * Loads a checked source into a new database and compares it with its manifest. The caller drops the new database after
 * a failure.
 *
 * @param like the database whose encoding, locale and owner the new one gets, if it exists
 * @param acceptErrors whether statements may fail without which all rows are there
 * @returns the errors that were accepted
 * @throws exit code 1 where loading fails; 3 where the rows are not those of the manifest, or a plain dump has a command
 *   of psql
 */
export async function loadInto(
  config: Config,
  source: CheckedSource,
  name: string,
  like: string,
  acceptErrors = false,
): Promise<LoadError[]> {
  const { postgres } = config;
  const { manifest, without } = source;
  const owner = without?.owners ? undefined : manifest?.properties.owner;
  const create = () => createLike(postgres, name, like, manifest ? { ...manifest.server, owner } : undefined);
  await create();
  const all = await loadAll(config, source, name, acceptErrors, async () => {
    await drop(postgres, name);
    await create();
  });
  const errors = refuseLost(source, all);
  await gatherStatistics(postgres, name);
  await compare(postgres, manifest, name);
  refuseUnaccepted(source, errors, acceptErrors);
  return errors;
}

/**
 * Loads up to the first error. If it is one that can be accepted, loads again to find all of them.
 * @returns all errors
 */
async function loadAll(
  config: Config,
  source: CheckedSource,
  name: string,
  acceptErrors: boolean,
  createAgain: () => Promise<void>,
): Promise<LoadError[]> {
  if (!acceptErrors) {
    try {
      return await load(config, source, name, 'stop');
    } catch (error) {
      if (!(error instanceof CommandError) || !mayGoOn(source, error.stderr)) throw error;
      log.warn(`${error.message}. Loading again, to find everything that fails`);
      await createAgain();
    }
  }
  return load(config, source, name, 'collect');
}

async function load(
  { postgres }: Config,
  source: CheckedSource,
  name: string,
  onError: 'stop' | 'collect',
): Promise<LoadError[]> {
  const settings = (connections: number) =>
    `-c synchronous_commit=off -c maintenance_work_mem=${Math.floor(LOAD_MEMORY / connections)}MB`;
  const path = join(source.directory, source.artifact);
  const purpose = `load ${source.name} into ${name}`;
  const state = 'the live database is unchanged.';
  const measure = () => sizeOfDatabase(postgres, name).catch(() => 0);
  const total = source.manifest?.databaseBytes;
  return withProgress({ label: 'Loading', measure, total }, async () => {
    if (!source.frame) return loadCustom(postgres, source, name, onError, { purpose, state, settings });
    const options = { purpose, state, settings: settings(1) };
    if (onError === 'collect') return collectPlain(postgres, path, source.frame, name, options);
    await loadPlain(postgres, path, source.frame, name, options);
    return [];
  });
}

/** Without statistics the planner guesses, and the first queries after the swap are slow. */
async function gatherStatistics(postgres: Postgres, name: string): Promise<void> {
  const analyze = client(postgres, [
    'vacuumdb',
    '--analyze-only',
    '--quiet',
    '--no-password',
    `--jobs=${availableParallelism()}`,
    `--dbname=${toDatabase(name)}`,
  ]);
  const purpose = `gather all statistics of ${name}`;
  try {
    await run(analyze.argv, { env: analyze.env, purpose, timeout: Number.POSITIVE_INFINITY });
  } catch (error) {
    // Statistics of an expression run functions, which can fail. No data is lost, and autovacuum tries again.
    if (!(error instanceof CommandError)) throw error;
    log.warn(`${error.message}. Queries can be slow until autovacuum or ANALYZE has gathered them`);
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
