/**
 * What killed runs leave: working directories in BACKUP_DIR, databases that were being loaded, the roles that loaded them, schemas
 * that were being copied, a decompressed dump in the container. Each belongs to a lock: only who holds it may remove them, because
 * the run is over then.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LOOK } from '../backup/directory.ts';
import { removeWork } from '../backup/fetch.ts';
import type { Config } from '../config/config.ts';
import { Exit, exitCodeOf, Interrupted, messageOf, OperationalError } from '../core/errors.ts';
import { parseStamp } from '../core/format.ts';
import { withLock } from '../core/lock.ts';
import { log } from '../core/log.ts';
import { CommandError } from '../core/shell.ts';
import { maintenanceOf, siblingsSql } from '../postgres/databases.ts';
import { dropLoaders } from '../postgres/drop.ts';
import { loaderPrefix, loadersSql } from '../postgres/loader.ts';
import { query } from '../postgres/query.ts';
import { removeScratch } from './load-custom.ts';
import { dropLeftovers } from './swap.ts';
import { dropUnfinished, UNFINISHED_SCHEMAS } from './unfinished-schema.ts';

/** `environment`: backups, restores; `drill`: drills, load checks; `none`: runs that only look hold no lock. */
type Owner = 'environment' | 'drill' | 'none';

export interface Leftover {
  kind: 'directory' | 'database' | 'schema' | 'role';
  /** A path, or the name in the server. */
  name: string;
  owner: Owner;
  since: Date;
}

const DAY = 24 * 3600_000;

/** Of the databases of each lock, as in their names. */
export const DATABASES = { environment: 'new', drill: 'drill' } as const;

/** The lock of those who use scratch databases: another than that of changes, so that none prevents a backup. */
export const drillLock = ({ environment }: Pick<Config, 'environment'>) => `${environment}.drill`;

/** The temporary directory of those who hold each lock. They remove it at their end. Only under that lock. */
export const DIRECTORIES = {
  environment: ({ backupDir, environment }: Config) => join(backupDir, `.fetched-${environment}`),
  drill: ({ backupDir, environment }: Config) => join(backupDir, `.drill-${environment}`),
};

/** @returns the working directories in BACKUP_DIR, those of running runs included; of looks, those older than a day */
export async function leftDirectories(config: Config): Promise<Leftover[]> {
  const looks = (await readdir(config.backupDir).catch(() => [] as string[]))
    .filter(name => name.startsWith(LOOK))
    .map(name => ({ name: join(config.backupDir, name), owner: 'none' as Owner }));
  const known = (['environment', 'drill'] as const).map(owner => ({
    name: DIRECTORIES[owner](config),
    owner: owner as Owner,
  }));
  const found: Leftover[] = [];
  for (const each of [...known, ...looks]) {
    const since = (await stat(each.name).catch(() => undefined))?.mtime;
    if (!since || (each.owner === 'none' && Date.now() - since.getTime() < DAY)) continue;
    found.push({ ...each, kind: 'directory', since });
  }
  return found;
}

/** The time in the name of a database, a schema or a role. */
const TIME = /_(\d{8}_\d{6})(?:_[0-9a-f]{8})?$/;

/**
 * @param seconds that the server has to answer
 * @returns the databases that are loaded or were, the roles that load them, and the schemas of the live one, those of running
 *   runs included
 * @throws OperationalError
 */
export async function leftInServer({ postgres }: Config, seconds: number): Promise<Leftover[]> {
  const select = (kind: Leftover['kind'], owner: Owner, names: string) =>
    `SELECT name, '${kind}' AS kind, '${owner}' AS owner FROM (${names}) AS n`;
  const databases = (['environment', 'drill'] as const).flatMap(owner => {
    const kind = DATABASES[owner];
    const roles = loadersSql(`${postgres.database}_${kind}`);
    return [
      select('database', owner, siblingsSql(postgres.database, kind)),
      select('role', owner, `SELECT rolname AS name FROM (${roles}) AS r`),
    ];
  });
  const ask = (database: string, selects: string[]) =>
    query<Omit<Leftover, 'since'>>(postgres, database, selects.join(' UNION ALL '), {
      purpose: 'list what runs left',
      timeout: seconds,
    });
  const schemas = select('schema', 'environment', UNFINISHED_SCHEMAS);
  const found = await ask(postgres.database, [...databases, schemas]).catch(error => {
    if (!(error instanceof CommandError) || error.reason !== '3D000') throw error;
    return ask(maintenanceOf(postgres), databases); // there is no live database
  });
  return found.map(each => ({ ...each, since: parseStamp(TIME.exec(each.name)![1]!) }));
}

/** The same; nothing of a server that does not answer, which fails the run in a moment. */
const leftIfAnswered = async (config: Config) =>
  (await attempt(() => leftInServer(config, 60), undefined)) ?? [];

/**
 * Removes what killed runs left whose lock this process holds. What can't be removed is named and stops nothing.
 * @param inServer as of {@link leftInServer}, read under that lock
 * @returns the databases that are still there
 */
export async function sweep(
  config: Config,
  owner: 'environment' | 'drill',
  inServer?: Leftover[],
): Promise<string[]> {
  const { postgres } = config;
  for (const each of await leftDirectories(config)) {
    if (each.owner !== owner && each.owner !== 'none') continue;
    log.warn(`removing ${each.name}, left by a run that did not finish`);
    await removeWork(each.name);
  }
  const mine = (inServer ?? (await leftIfAnswered(config))).filter(each => each.owner === owner);
  for (const { kind, name } of mine) {
    if (kind !== 'schema') continue;
    log.warn(`dropping schema ${name} of ${postgres.database}, left by a run that did not finish`);
    await attempt(() => dropUnfinished(postgres, name), `schema ${name} stays`);
  }
  const databases = mine.filter(({ kind }) => kind === 'database').map(({ name }) => name);
  const alone = mine.filter(
    ({ kind, name }) => kind === 'role' && !databases.some(each => name.startsWith(loaderPrefix(each))),
  );
  if (alone.length > 0) {
    const names = alone.map(({ name }) => name);
    log.warn(`dropping role ${names.join(', ')}, left by a run that did not finish`);
    await attempt(() => dropLoaders(postgres, names), 'a role stays');
  }
  if (databases.length === 0) return [];
  const left = await attempt(() => dropLeftovers(postgres, DATABASES[owner]), undefined);
  if (postgres.container) {
    const work = DIRECTORIES[owner](config);
    await attempt(() => removeScratch(postgres, work), 'a leftover in the container stays');
  }
  return left ?? databases;
}

/**
 * The same for a backup, which holds the environment's lock: also what drills left, if none is running.
 */
export async function sweepAll(config: Config): Promise<void> {
  const inServer = await leftIfAnswered(config);
  await sweep(config, 'environment', inServer);
  const isDrills = ({ owner }: Leftover) => owner === 'drill';
  const directories = await leftDirectories(config);
  if (![...directories, ...inServer].some(isDrills)) return; // a drill that starts now finds its lock free
  try {
    await withLock(config.stateDir, drillLock(config), 'backup.ts, which removes leftovers', () =>
      sweep(config, 'drill'),
    );
  } catch (error) {
    if (exitCodeOf(error) !== Exit.locked) throw error; // locked: they are those of a running drill
  }
}

/** @param warning what a failure means; undefined: it is not logged */
async function attempt<T>(work: () => Promise<T>, warning: string | undefined): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OperationalError) || error instanceof Interrupted) throw error;
    if (warning) log.warn(`${warning}: ${messageOf(error)}\n  → ${error.hint}`);
    return undefined;
  }
}
