import { join } from 'node:path';
import type { Without } from '../backup/dump-commands.ts';
import type { CheckedSource } from '../backup/verify.ts';
import type { Config } from '../config/config.ts';
import { log } from '../core/log.ts';
import { withProgress } from '../core/progress.ts';
import { CommandError, run } from '../core/shell.ts';
import { producer, toDatabase } from '../postgres/client.ts';
import { OWNERSHIP } from '../postgres/compare-definitions.ts';
import { sizeOfDatabase } from '../postgres/databases.ts';
import { drop } from '../postgres/drop.ts';
import type { SpaceFacts } from '../postgres/load-space.ts';
import { openSession } from '../postgres/session.ts';
import { watchLoad } from '../postgres/space-watch.ts';
import { compareWithManifest, readRows } from './compare.ts';
import { type Accept, mayGoOn, refuseLost, refuseUnaccepted, superuserAdvice } from './judge-errors.ts';
import { loadCustom } from './load-custom.ts';
import { canBeAccepted, type LoadError } from './load-errors.ts';
import { loadPlain } from './load-plain.ts';
import { connectionsOf, memoryOf } from './load-size.ts';
import { createTarget, runAfter, runBefore, type Target } from './load-target.ts';
import type { Rights } from './who-loads.ts';

/**
 * Loads a checked source into a new database, with encoding, locale and owner of the live one if that exists, and compares
 * it with its manifest. The caller drops the new database after a failure.
 *
 * @param space what the server does with its disks: the load is ended before their reserve is used up
 * @returns the errors that were accepted, and how many rows there are
 * @throws exit code 1 where loading fails or a disk gets full; 3 where the rows are not those of the manifest, or a plain dump has a command
 *   of psql
 */
export async function loadInto(
  config: Config,
  source: CheckedSource,
  name: string,
  space: SpaceFacts,
  { accept = 'none', ...rights }: Rights = {},
): Promise<{ errors: LoadError[]; rows: number }> {
  const { postgres } = config;
  const { manifest, without } = source;
  const owner = without?.owners ? undefined : manifest?.properties.owner;
  const otherwise = manifest ? { ...manifest.server, owner } : undefined;
  await using sessions = new AsyncDisposableStack();
  const create = async () => {
    const target = await createTarget(postgres, name, otherwise, { ...rights, source });
    if (target.session) sessions.use(target.session);
    return target;
  };
  return await watchLoad(postgres, space, name, async until => {
    const { target, errors: all } = await loadAll(config, source, { accept, space, until }, create);
    const loaded = refuseLost(source, all);
    await gatherStatistics(target);
    const rows = await readByRole(target);
    const errors = [...loaded, ...refuseLost(source, await runAfter(postgres, source, target))];
    const tolerance = {
      settings: target.quiet,
      accepts: (kind: string) => mayDiffer(kind, without, accept === 'all' || errors.length > 0),
      couldAccept: (kind: string) => mayDiffer(kind, without, true),
    };
    const count = await compareWithManifest(postgres, manifest, name, tolerance, rows);
    refuseUnaccepted(source, errors, accept);
    return { errors, rows: count };
  });
}

interface How {
  accept: Accept;
  space: SpaceFacts;
  until: AbortSignal;
  /** Of a custom dump; default: as many as suit it. */
  connections?: number;
}

/** What the manifest holds and rows depend on: a restore without it is refused whatever has failed. */
const STRUCTURE = ['schema', 'table', 'column', 'sequence', 'value of'];

/** @returns whether objects of this kind may be missing, because they were left out, or their statements may have failed */
function mayDiffer(kind: string, without: Without = {}, mayFail: boolean): boolean {
  if (without.owners && OWNERSHIP.includes(kind)) return true;
  if (without.tablespaces && kind === 'tablespace of') return true;
  return mayFail && !STRUCTURE.includes(kind);
}

/**
 * Loads up to the first error. If it is one that can be accepted, loads again to find all of them. With one connection, in
 * the order of the dump: pg_restore with several can create a constraint before the rows that it is NOT VALID for.
 *
 * @returns the database, and all errors
 */
async function loadAll(
  config: Config,
  source: CheckedSource,
  how: How,
  create: () => Promise<Target>,
): Promise<{ target: Target; errors: LoadError[] }> {
  let target = await create();
  let before = await runBefore(config.postgres, source, target);
  const again = async () => {
    await drop(config.postgres, target.name);
    target = await create();
    before = await runBefore(config.postgres, source, target);
    const errors = await load(config, source, target, 'collect', { ...how, connections: 1 });
    return { target, errors: [...before, ...errors] };
  };
  if (how.accept === 'none' && before.length === 0) {
    try {
      return { target, errors: await load(config, source, target, 'stop', how) };
    } catch (error) {
      how.until.throwIfAborted();
      if (!(error instanceof CommandError) || !mayGoOn(source, error.stderr)) throw error;
      log.warn(`${error.message}. Loading again, to find everything that fails`);
      return again();
    }
  }
  const errors = await load(config, source, target, 'collect', how);
  if (source.frame || errors.every(canBeAccepted)) return { target, errors: [...before, ...errors] };
  log.warn('rows could not be loaded with several connections. Loading again, with one');
  return again();
}

async function load(
  config: Config,
  source: CheckedSource,
  { name, postgres, limits, scan }: Target,
  onError: 'stop' | 'collect',
  { space, until, connections }: How,
): Promise<LoadError[]> {
  const settings = (connections: number) =>
    `${limits} -c synchronous_commit=off -c maintenance_work_mem=${memoryOf(postgres, connections)}MB`;
  const path = join(source.directory, source.artifact);
  const common = {
    purpose: `load ${source.name} into ${name}`,
    state: 'the live database is unchanged.',
    ...(scan ? { hints: { 42501: superuserAdvice(source) } } : {}),
    until,
  };
  const measure = () => sizeOfDatabase(config.postgres, name).catch(() => 0);
  const total = source.manifest?.databaseBytes;
  return withProgress({ label: 'Loading', measure, total }, async () => {
    if (!source.frame)
      return loadCustom(postgres, source, name, onError, {
        ...common,
        settings,
        space,
        scan,
        connections,
      });
    const options = { ...common, settings: settings(1), cuts: scan?.cuts };
    return loadPlain(postgres, path, source.frame, name, onError, options);
  });
}

/** @returns the rows as the role that loads sees them, whose sessions are over then; undefined: there is none */
async function readByRole({ name, postgres, session }: Target) {
  if (!session) return undefined;
  try {
    return await readRows(session);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    await using another = openSession(postgres, name); // the first one was idle for as long as the load
    return await readRows(another);
  } finally {
    await session.close();
  }
}

/** Without statistics the planner guesses, and the first queries after the swap are slow. */
async function gatherStatistics({ postgres, name, limits, loader }: Target): Promise<void> {
  const vacuumdb = [
    'vacuumdb',
    '--analyze-only',
    '--quiet',
    '--no-password',
    `--jobs=${connectionsOf(postgres)}`,
    `--dbname=${toDatabase(name)}`,
  ];
  // It warns of each table of the server that the role that loads may not analyze.
  const settings = `${limits}${loader ? ' -c client_min_messages=error' : ''}`;
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
