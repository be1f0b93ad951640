/**
 * What killed runs leave: working directories in BACKUP_DIR, databases that were being loaded, the roles that loaded them, a
 * decompressed dump in the container. Each belongs to a lock: only who holds it may remove them, because the run is over then.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LOOK } from '../backup/directory.ts';
import { removeWork, restoreDirectory } from '../backup/fetch.ts';
import type { Config, Postgres } from '../config/config.ts';
import { Exit, exitCodeOf, Interrupted, messageOf, OperationalError } from '../core/errors.ts';
import { parseStamp } from '../core/format.ts';
import { withLock } from '../core/lock.ts';
import { log } from '../core/log.ts';
import { run } from '../core/shell.ts';
import { asJson, client, runSql } from '../postgres/client.ts';
import { maintenanceOf, siblingsSql } from '../postgres/databases.ts';
import { dropLoaders } from '../postgres/drop.ts';
import { loaderPrefix, loadersSql } from '../postgres/loader.ts';
import { dropLeftovers } from './swap.ts';

/** `environment`: backups, restores; `drill`: drills, load checks; `none`: runs that only look hold no lock. */
export type Owner = 'environment' | 'drill' | 'none';

export interface Leftover {
  kind: 'directory' | 'database' | 'role';
  /** A path, or the name of the database or role. */
  name: string;
  owner: Owner;
  since: Date;
}

const DAY = 24 * 3600_000;

/** Of the databases of each lock, as in their names. */
export const DATABASES = { environment: 'new', drill: 'drill' } as const;

/** The lock of those who use scratch databases: another than that of changes, so that none prevents a backup. */
export const drillLock = ({ environment }: Pick<Config, 'environment'>) => `${environment}.drill`;

/** The temporary directory of drills and load checks. Only under their lock. */
function drillDirectory({ backupDir, environment }: Config): string {
  return join(backupDir, `.drill-${environment}`);
}

/** The working directory of each lock. */
export const DIRECTORIES = { environment: restoreDirectory, drill: drillDirectory };

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

/**
 * @param seconds that the server has to answer
 * @returns the databases that are loaded or were, and the roles that load them, those of running runs included
 * @throws OperationalError
 */
export async function leftDatabases({ postgres }: Config, seconds: number): Promise<Leftover[]> {
  const sql = (['environment', 'drill'] as const).map(owner => {
    const { database } = postgres;
    const kind = DATABASES[owner];
    return `SELECT 'database' AS kind, name, '${owner}' AS owner FROM (${siblingsSql(database, kind)}) AS d
      UNION ALL SELECT 'role', rolname, '${owner}' FROM (${loadersSql(`${database}_${kind}`)}) AS r`;
  });
  const text = await runSql(postgres, maintenanceOf(postgres), asJson(sql.join(' UNION ALL ')), {
    purpose: 'list the databases of runs',
    timeout: seconds,
    onlyReads: true,
  });
  return (JSON.parse(text) as Omit<Leftover, 'since'>[]).map(each => ({
    ...each,
    since: parseStamp(/_(\d{8}_\d{6})(?:_[0-9a-f]{8})?$/.exec(each.name)![1]!),
  }));
}

/**
 * Removes what killed runs left whose lock this process holds. What can't be removed is named and stops nothing.
 * @returns the databases that are still there
 */
export async function sweep(config: Config, owner: 'environment' | 'drill'): Promise<string[]> {
  const { postgres } = config;
  for (const each of await leftDirectories(config)) {
    if (each.owner !== owner && each.owner !== 'none') continue;
    log.warn(`removing ${each.name}, left by a run that did not finish`);
    await removeWork(each.name);
  }
  const found = await attempt(() => leftDatabases(config, 60), undefined); // a server that does not answer fails the run in a moment
  const namesOf = (kind: Leftover['kind']) =>
    (found ?? []).filter(each => each.owner === owner && each.kind === kind).map(({ name }) => name);
  const databases = namesOf('database');
  const alone = namesOf('role').filter(role => !databases.some(name => role.startsWith(loaderPrefix(name))));
  if (alone.length > 0) {
    log.warn(`dropping role ${alone.join(', ')}, left by a run that did not finish`);
    await attempt(() => dropLoaders(postgres, alone), 'a role is left over; the next run tries to drop it');
  }
  if (databases.length === 0) return [];
  const left = await attempt(() => dropLeftovers(postgres, postgres.database, DATABASES[owner]), undefined);
  await attempt(() => removeFromContainer(postgres, owner, config), 'a leftover in the container stays');
  return left ?? databases;
}

/**
 * The same for a backup, which holds the environment's lock: also what drills left, if none is running.
 */
export async function sweepAll(config: Config): Promise<void> {
  await sweep(config, 'environment');
  const isDrills = ({ owner }: Leftover) => owner === 'drill';
  const directories = await leftDirectories(config);
  const databases = await attempt(() => leftDatabases(config, 60), undefined);
  if (![...directories, ...(databases ?? [])].some(isDrills)) return; // a drill that starts now finds its lock free
  try {
    await withLock(config.stateDir, drillLock(config), 'backup.ts, which removes leftovers', () =>
      sweep(config, 'drill'),
    );
  } catch (error) {
    if (exitCodeOf(error) !== Exit.locked) throw error; // locked: they are those of a running drill
  }
}

/** A decompressed dump, of a load with several connections. */
async function removeFromContainer(
  postgres: Postgres,
  owner: 'environment' | 'drill',
  config: Config,
): Promise<void> {
  if (!postgres.container) return;
  const path = containerScratch(DIRECTORIES[owner](config));
  const { argv, env } = client(postgres, ['rm', '-f', path]);
  await run(argv, { env, purpose: `remove ${path}` });
}

const containerScratch = (work: string) => `/tmp/${work.split('/').at(-1)}.dump`;

/** @param warning what a failure means; undefined: nothing is said */
async function attempt<T>(work: () => Promise<T>, warning: string | undefined): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OperationalError) || error instanceof Interrupted) throw error;
    if (warning) log.warn(`${warning}: ${messageOf(error)}\n  → ${error.hint}`);
    return undefined;
  }
}
