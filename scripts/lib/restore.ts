import { createBackup, planBackup } from './backup.ts';
import { refuseOlderServer } from './compatibility.ts';
import type { Config, Postgres } from './config.ts';
import { besides, drop, oidOf, refusePreparedTransactions, swap } from './database.ts';
import { databaseDiskFree } from './disk.ts';
import { usageError, verificationError } from './errors.ts';
import { uninterrupted } from './interrupt.ts';
import { log } from './log.ts';
import { queryOf, type ServerFacts } from './postgres.ts';
import { enoughSpace, preflight } from './preflight.ts';
import { applyProperties, readProperties } from './properties.ts';
import { CommandError } from './shell.ts';
import type { LocalSource, Source } from './source.ts';
import { duration } from './text.ts';

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

/** Drops databases that killed restores or drills left, so that every name of that role is free. Only under the lock. */
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
    async () => {
      if (!exists) return;
      if (!replaces)
        throw usageError(`there is a database ${target} already`, 'give --database a name that is free.');
      await refusePreparedTransactions(postgres, target);
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
export async function safetyBackup(config: Config, restored: string, server: ServerFacts): Promise<string> {
  log.info('backing up the live database first');
  const plan = await planBackup(config, config.format, server);
  const manifest = await createBackup(config, plan, {
    format: config.format,
    label: `before restoring ${restored}`,
    safety: true,
  });
  return manifest.id;
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
