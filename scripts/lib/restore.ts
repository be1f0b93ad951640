import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { decompressTo, parallelRestore, readingFile, streamRestore } from './artifact.ts';
import { createBackup, planBackup } from './backup.ts';
import type { Config, Postgres } from './config.ts';
import {
  besides,
  createLike,
  drop,
  oidOf,
  refusePreparedTransactions,
  sizeOfDatabase,
  swap,
} from './database.ts';
import { usageError, verificationError } from './errors.ts';
import { freeSpace } from './files.ts';
import { uninterrupted } from './interrupt.ts';
import { log } from './log.ts';
import type { Manifest } from './manifest.ts';
import { client, databaseUrl, execute, query, queryOf, type ServerFacts, toDatabase } from './postgres.ts';
import { enoughSpace, preflight } from './preflight.ts';
import { withProgress } from './progress.ts';
import { applyProperties, readProperties } from './properties.ts';
import { CommandError, run } from './shell.ts';
import { type LocalSource, refuseOlderServer, type Source } from './source.ts';
import { compareRows, countRows, totalRows } from './tables.ts';
import { bytes, count, duration, plural } from './text.ts';

/** MiB of maintenance_work_mem, shared by all connections of one load. */
const LOAD_MEMORY = 1024;

/**
 * Loads a checked source into a new database and compares it with its manifest. The live database is not
 * touched; on failure the new one is dropped.
 *
 * @param like the database whose encoding, locale and owner the new one gets, if it exists
 */
export async function loadInto(
  config: Config,
  source: LocalSource,
  name: string,
  like: string,
): Promise<void> {
  const { postgres } = config;
  try {
    await createLike(postgres, name, like, source.manifest?.server);
    await load(config, source, name);
    await compare(postgres, source.manifest, name);
  } catch (error) {
    await drop(postgres, name).catch(() =>
      log.warn(`database ${name} is left over; the next restore drops it`),
    );
    throw error;
  }
}

async function load({ postgres }: Config, source: LocalSource, name: string): Promise<void> {
  const jobs = source.format === 'custom' ? availableParallelism() : 1;
  const settings = `-c synchronous_commit=off -c maintenance_work_mem=${Math.floor(LOAD_MEMORY / jobs)}MB`;
  const path = join(source.directory, source.artifact);
  const purpose = `load ${source.name} into ${name}`;
  const measure = () => sizeOfDatabase(postgres, name).catch(() => 0);
  const total = source.manifest?.databaseBytes;
  await withProgress({ label: 'Loading', measure, total }, async () => {
    if (jobs > 1 && (await scratchFits(postgres, source)))
      await loadInParallel(postgres, source, name, jobs, { purpose, settings });
    else await readingFile(postgres, streamRestore(name, source.format), path, { purpose, settings });
  });
  // Without statistics the first queries after a swap would be planned blindly.
  const analyze = client(postgres, [
    'vacuumdb',
    '--analyze-only',
    '--quiet',
    '--no-password',
    `--jobs=${availableParallelism()}`,
    `--dbname=${toDatabase(name)}`,
  ]);
  await run(analyze.argv, {
    env: analyze.env,
    purpose: `gather statistics of ${name}`,
    timeout: Number.POSITIVE_INFINITY,
  });
}

/** Where a decompressed dump is put, on the side of PostgreSQL's programs. */
function scratchOf(postgres: Postgres, { work }: LocalSource): string {
  return join(postgres.container ? '/tmp' : work, `${basename(work)}.dump`);
}

/** pg_restore can use several connections only on a file that it can seek in, which takes disk space. */
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

async function freeSpaceOf(postgres: Postgres, path: string): Promise<number> {
  if (!postgres.container) return freeSpace(path);
  const { argv, env } = client(postgres, ['df', '--output=avail', '--block-size=1', path]);
  const text = await run(argv, { env, purpose: `find the free space of ${path}` });
  return Number(text.trim().split('\n').at(-1));
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
    await readingFile(postgres, decompressTo(scratch), path, { purpose: 'decompress the dump' });
    const { argv, env } = client(postgres, parallelRestore(name, scratch, jobs), options.settings);
    await run(argv, { env, purpose: options.purpose, timeout: Number.POSITIVE_INFINITY });
  } finally {
    const { argv, env } = client(postgres, ['rm', '-f', scratch]);
    await run(argv, { env, purpose: `remove ${scratch}`, evenInterrupted: true });
  }
}

async function compare(postgres: Postgres, manifest: Manifest | null, name: string): Promise<void> {
  const queryNew = queryOf(postgres, name);
  const tables = await countRows(queryNew);
  const summary = `${count(totalRows(tables))} rows in ${plural(tables.length, 'table')}`;
  if (!manifest) {
    log.warn(`${summary}; with no manifest there is nothing to compare them with`);
    return;
  }
  const [objects] = await queryNew<{ count: number }>('SELECT count(*) FROM pg_largeobject_metadata');
  const differences = compareRows(manifest.tables, tables);
  if (objects!.count !== manifest.largeObjects) {
    differences.push(`there are ${objects!.count} large objects, not ${manifest.largeObjects}`);
  }
  if (differences.length > 0) {
    const shown = differences.slice(0, 10).map(difference => `\n  ${difference}`);
    throw verificationError(
      `what was loaded is not what was backed up (${plural(differences.length, 'difference')}):${shown.join('')}`,
      'the live database was not touched; use another backup: list-backups.ts shows them.',
    );
  }
  log.done(`compared: ${summary}, as in the backup`);
}

/**
 * Gives the new database the owner, settings, privileges and comment of the live one; on a server without it,
 * those that the manifest tells of.
 */
export async function keepProperties(
  postgres: Postgres,
  source: Source,
  live: string | undefined,
  next: string,
): Promise<void> {
  if (live) return applyProperties(postgres, next, await readProperties(queryOf(postgres, 'postgres'), live));
  if (!source.manifest) return;
  try {
    await applyProperties(postgres, next, source.manifest.properties);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // A server that gives this user less than the old one did is no reason to go without the data.
    log.warn(`the database has the server’s default owner, settings and privileges: ${error.message}`);
  }
}

/** One statement of pg_dumpall about a role: words, and quoted names and strings that may hold anything. */
const ROLE_STATEMENT = /^(?:CREATE ROLE|ALTER ROLE|GRANT) (?:"(?:[^"]|"")*"|'(?:[^']|'')*'|[^"';])*;/gm;

/**
 * Creates the roles that the source's server had and this one lacks, with their settings and memberships, but
 * without passwords: a dump holds none. Row security policies refer to roles, and can't be loaded without.
 */
export async function createMissingRoles(postgres: Postgres, source: LocalSource): Promise<void> {
  if (!source.manifest) return;
  const path = join(source.directory, source.manifest.globals.name);
  const script = await run(['gzip', '-dc', path], { purpose: `read ${path}` });
  const roles = await query<{ name: string }>(
    postgres,
    'postgres',
    'SELECT quote_ident(rolname) AS name FROM pg_roles',
  );
  const existing = new Set(roles.map(({ name }) => name));
  const statements = script.match(ROLE_STATEMENT) ?? [];
  const missing = statements
    .flatMap(statement => /^CREATE ROLE (.+);$/s.exec(statement)?.[1] ?? [])
    .filter(role => !existing.has(role));
  if (missing.length === 0) return;
  const concerns = (statement: string) =>
    missing.some(
      role =>
        statement === `CREATE ROLE ${role};` ||
        statement.startsWith(`ALTER ROLE ${role} `) ||
        statement.startsWith(`GRANT ${role} TO `) ||
        (statement.startsWith('GRANT ') && new RegExp(` TO ${RegExp.escape(role)}[ ;]`).test(statement)),
    );
  // Who granted a membership may not exist here, and only a superuser may name what a new role lacks anyway.
  const portable = (statement: string) =>
    statement.startsWith('GRANT ')
      ? statement.replace(/ GRANTED BY .*;$/s, ';')
      : statement.replaceAll(/ NO(SUPERUSER|REPLICATION|BYPASSRLS)(?=[ ;])/g, '');
  await execute(postgres, 'postgres', statements.filter(concerns).map(portable).join('\n'), {
    purpose: 'create the missing roles',
    hint: `create them by hand, as a superuser: ${missing.join(', ')}. ${path} says how.`,
  });
  log.warn(`created ${missing.join(', ')}: without passwords, which no backup holds; set them`);
}

/** Runs the product's migrations against one database, in a one-off container of the backend's image or here. */
async function migrate(config: Config, database: string): Promise<void> {
  const { migrate: settings, postgres } = config;
  if (!settings) return;
  const env = { DATABASE_URL: databaseUrl(postgres, database) };
  const purpose = `run the migrations (${settings.command})`;
  const hint = 'the live database was not touched. Add --no-migrate to restore without migrating.';
  const limits = { purpose, hint, timeout: 3600 };
  if (!settings.image) {
    await run(['bash', '-c', settings.command], { ...limits, env });
    return;
  }
  const name = `${config.app}-migrate-${config.environment}`;
  const remove = () =>
    run(['docker', 'rm', '--force', name], { purpose: `remove container ${name}`, evenInterrupted: true });
  await remove(); // of a run that was killed
  // In the database container's network, where it is 127.0.0.1 whatever the networks are called.
  const network = postgres.container ? `container:${postgres.container}` : 'host';
  const argv = [
    'docker',
    'run',
    '--rm',
    '--name',
    name,
    '--network',
    network,
    '--env',
    'DATABASE_URL',
    settings.image,
  ];
  try {
    await run([...argv, 'sh', '-c', settings.command], { ...limits, env });
  } finally {
    await remove();
  }
}

/** Drops databases that killed restores or drills left. Only under the lock. */
export async function dropLeftovers(
  postgres: Postgres,
  database: string,
  role: 'new' | 'drill',
): Promise<void> {
  for (const name of await besides(postgres, database, role)) {
    log.warn(`an earlier run did not finish with database ${name}; dropping it`);
    await drop(postgres, name);
  }
}

/**
 * Looks whether a checked source can be restored into `target`: versions, name, disk, prepared transactions.
 *
 * @param replaces whether there may be such a database, to be replaced
 * @returns whether there is no such database yet
 */
export async function refuseImpossible(
  config: Config,
  source: LocalSource,
  server: ServerFacts,
  target: string,
  replaces = false,
): Promise<{ bare: boolean }> {
  const { postgres } = config;
  const exists = (await oidOf(postgres, target)) !== undefined;
  await preflight(
    () => refuseOlderServer(postgres, server, source),
    () => refusePreparedTransactions(postgres, target),
    async () => {
      if (!exists || replaces) return;
      throw usageError(`there is a database ${target} already`, 'give --database a name that is free.');
    },
    async () => {
      const free = await databaseDiskFree(postgres, server.dataDirectory);
      if (free === undefined)
        log.info('free space of the database’s disk: can’t be seen from here, not checked');
      else enoughSpace('the database’s disk', free, Math.ceil((source.manifest?.databaseBytes ?? 0) * 1.2));
    },
  );
  return { bare: !exists };
}

/** Backs up the live database before it is replaced. A failure stops the restore. */
export async function safetyBackup(config: Config, restored: string): Promise<string> {
  log.info('backing up the live database first');
  const plan = await planBackup(config, config.format);
  const manifest = await createBackup(config, plan, {
    format: config.format,
    label: `before restoring ${restored}`,
    safety: true,
  });
  return manifest.id;
}

/** @see migrate */
export async function runMigrations(config: Config, database: string, wanted: boolean): Promise<void> {
  if (!config.migrate) log.info('migrations: not configured (BACKEND_IMAGE and MIGRATE_COMMAND are empty)');
  else if (!wanted) log.info('migrations: skipped');
  else {
    await migrate(config, database);
    log.done(`migrated: ${config.migrate.command}`);
  }
}

/**
 * Swaps the new database in and looks that the name now means it. A signal that arrives meanwhile comes too
 * late: the restore is done, and says so.
 */
export function swapIn(postgres: Postgres, target: string, next: string, kept?: string): Promise<void> {
  return uninterrupted(async () => {
    const oid = await oidOf(postgres, next);
    const started = performance.now();
    // A connection lost at the commit says nothing of its outcome: the server does.
    const failure: unknown = await swap(postgres, target, next, kept).then(
      () => undefined,
      error => error,
    );
    const now = await oidOf(postgres, target).catch(() => undefined);
    if (oid === undefined || now !== oid) {
      throw (
        failure ??
        verificationError(
          `${target} is not the database that was swapped in`,
          'somebody else renames databases: see `psql -l`.',
        )
      );
    }
    const seconds = (performance.now() - started) / 1000;
    log.done(`swapped in ${duration(seconds)}${kept ? `; the old database is ${kept}` : ''}`);
  });
}

/** @returns free bytes of the disk under PostgreSQL's data, or undefined where it can't be seen from here */
export async function databaseDiskFree(
  postgres: Postgres,
  dataDirectory: string | null,
): Promise<number | undefined> {
  if (!dataDirectory) return undefined;
  if (postgres.container) return freeSpaceOf(postgres, dataDirectory);
  return existsSync(dataDirectory) ? freeSpace(dataDirectory) : undefined;
}
