import { join } from 'node:path';
import type { Without } from '../backup/dump-commands.ts';
import type { CheckedSource } from '../backup/verify.ts';
import type { Config, Postgres } from '../config/config.ts';
import { log } from '../core/log.ts';
import { withProgress } from '../core/progress.ts';
import { CommandError, run } from '../core/shell.ts';
import { producer, toDatabase } from '../postgres/client.ts';
import { OWNERSHIP } from '../postgres/compare-definitions.ts';
import { createLike, sizeOfDatabase } from '../postgres/databases.ts';
import { drop } from '../postgres/drop.ts';
import type { SpaceFacts } from '../postgres/load-space.ts';
import { copySettings } from '../postgres/server.ts';
import { watchLoad } from '../postgres/space-watch.ts';
import { compareWithManifest } from './compare.ts';
import { createCron } from './cron-extension.ts';
import { mayGoOn, refuseLost, refuseUnaccepted } from './judge-errors.ts';
import { loadCustom } from './load-custom.ts';
import { canBeAccepted, type LoadError } from './load-errors.ts';
import { loadPlain } from './load-plain.ts';
import { connectionsOf, memoryOf } from './load-size.ts';

/**
 * Loads a checked source into a new database, with encoding, locale and owner of the live one if that exists, and compares
 * it with its manifest. The caller drops the new database after a failure.
 *
 * @param space what the server does with its disks: the load is ended before their reserve is used up
 * @param acceptErrors whether statements may fail without which all rows are there
 * @returns the errors that were accepted
 * @throws exit code 1 where loading fails or a disk gets full; 3 where the rows are not those of the manifest, or a plain dump has a command
 *   of psql
 */
export async function loadInto(
  config: Config,
  source: CheckedSource,
  name: string,
  space: SpaceFacts,
  acceptErrors = false,
): Promise<LoadError[]> {
  const { postgres } = config;
  const { manifest, without } = source;
  const owner = without?.owners ? undefined : manifest?.properties.owner;
  const create = async () => {
    await createLike(postgres, name, manifest ? { ...manifest.server, owner } : undefined);
    if (manifest?.extensions.some(extension => extension.name === 'pg_cron'))
      await createCron(postgres, name);
  };
  const [settings] = await Promise.all([copySettings(postgres), create()]);
  return watchLoad(postgres, space, name, async until => {
    const how = { acceptErrors, settings, space, until };
    const all = await loadAll(config, source, name, how, async () => {
      await drop(postgres, name);
      await create();
    });
    const errors = refuseLost(source, all);
    await gatherStatistics(postgres, name, settings);
    await compareWithManifest(postgres, manifest, name, {
      settings,
      accepts: kind => mayDiffer(kind, without, acceptErrors || errors.length > 0),
      couldAccept: kind => mayDiffer(kind, without, true),
    });
    refuseUnaccepted(source, errors, acceptErrors);
    return errors;
  });
}

interface How {
  acceptErrors: boolean;
  space: SpaceFacts;
  until: AbortSignal;
  /** Of its sessions, as `-c name=value`. */
  settings: string;
  /** Of a custom dump; default: as many as suit it. */
  connections?: number;
}

/** What the manifest holds and rows depend on: a restore without it is refused whatever has failed. */
const STRUCTURE = ['schema', 'table', 'column', 'sequence', 'value of'];

/** @returns whether objects of this kind may lack, because they were left out, or their statements may have failed */
function mayDiffer(kind: string, without: Without = {}, mayFail: boolean): boolean {
  if (without.owners && OWNERSHIP.includes(kind)) return true;
  if (without.tablespaces && kind === 'tablespace of') return true;
  return mayFail && !STRUCTURE.includes(kind);
}

/**
 * Loads up to the first error. If it is one that can be accepted, loads again to find all of them. With one connection, in
 * the order of the dump: pg_restore with several can create a constraint before the rows that it is NOT VALID for.
 *
 * @returns all errors
 */
async function loadAll(
  config: Config,
  source: CheckedSource,
  name: string,
  how: How,
  createAgain: () => Promise<void>,
): Promise<LoadError[]> {
  if (!how.acceptErrors) {
    try {
      return await load(config, source, name, 'stop', how);
    } catch (error) {
      how.until.throwIfAborted();
      if (!(error instanceof CommandError) || !mayGoOn(source, error.stderr)) throw error;
      log.warn(`${error.message}. Loading again, to find everything that fails`);
      await createAgain();
      return load(config, source, name, 'collect', { ...how, connections: 1 });
    }
  }
  const errors = await load(config, source, name, 'collect', how);
  if (source.frame || errors.every(canBeAccepted)) return errors;
  log.warn('rows could not be loaded with several connections. Loading again, with one');
  await createAgain();
  return load(config, source, name, 'collect', { ...how, connections: 1 });
}

async function load(
  { postgres }: Config,
  source: CheckedSource,
  name: string,
  onError: 'stop' | 'collect',
  { space, until, settings: common, connections }: How,
): Promise<LoadError[]> {
  const settings = (connections: number) =>
    `${common} -c synchronous_commit=off -c maintenance_work_mem=${memoryOf(postgres, connections)}MB`;
  const path = join(source.directory, source.artifact);
  const purpose = `load ${source.name} into ${name}`;
  const state = 'the live database is unchanged.';
  const measure = () => sizeOfDatabase(postgres, name).catch(() => 0);
  const total = source.manifest?.databaseBytes;
  return withProgress({ label: 'Loading', measure, total }, async () => {
    if (!source.frame)
      return loadCustom(postgres, source, name, onError, {
        purpose,
        state,
        settings,
        space,
        until,
        connections,
      });
    const options = { purpose, state, settings: settings(1), until };
    return loadPlain(postgres, path, source.frame, name, onError, options);
  });
}

/** Without statistics the planner guesses, and the first queries after the swap are slow. */
async function gatherStatistics(postgres: Postgres, name: string, settings: string): Promise<void> {
  const vacuumdb = [
    'vacuumdb',
    '--analyze-only',
    '--quiet',
    '--no-password',
    `--jobs=${connectionsOf(postgres)}`,
    `--dbname=${toDatabase(name)}`,
  ];
  const { argv, ...analyze } = producer(postgres, vacuumdb, settings);
  const purpose = `gather all statistics of ${name}`;
  try {
    await run(argv, { ...analyze, purpose, timeout: Number.POSITIVE_INFINITY });
  } catch (error) {
    // Statistics of an expression run functions, which can fail. No data is lost, and autovacuum tries again.
    if (!(error instanceof CommandError)) throw error;
    log.warn(`${error.message}. Queries can be slow until autovacuum or ANALYZE has gathered them`);
  }
}
