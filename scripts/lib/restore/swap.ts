import type { LocalSource } from '../backup/fetch.ts';
import type { Postgres } from '../config/config.ts';
import { verificationError } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { CommandError } from '../core/shell.ts';
import { deferSignals } from '../core/signals.ts';
import { queryOf } from '../postgres/client.ts';
import { applyProperties, readProperties } from '../postgres/database-properties.ts';
import { drop, maintenanceOf, oidOf, siblingDatabases } from '../postgres/databases.ts';
import { swap } from '../postgres/swap.ts';

/**
 * Gives the new database the owner, settings, privileges and comment of the live one. Without a live one it gets those
 * of the manifest, as far as this server allows.
 *
 * @throws CommandError where the live one's can't be applied
 */
export async function copyProperties(
  postgres: Postgres,
  source: LocalSource,
  live: string | undefined,
  next: string,
): Promise<void> {
  if (live)
    return applyProperties(
      postgres,
      next,
      await readProperties(queryOf(postgres, maintenanceOf(postgres)), live),
    );
  if (!source.manifest) return;
  try {
    await applyProperties(postgres, next, source.manifest.properties, source.without?.owners);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // A managed server may allow less than the old server did; the data is restored all the same.
    log.warn(`the database has the server’s default owner, settings and privileges: ${error.message}`);
  }
}

/** Drops the databases that killed restores or drills left. Call it under the lock only. */
export async function dropLeftovers(
  postgres: Postgres,
  database: string,
  kind: 'new' | 'drill',
): Promise<void> {
  for (const name of await siblingDatabases(postgres, database, kind)) {
    log.warn(`dropping database ${name}, left by a run that did not finish`);
    await drop(postgres, name);
  }
}

/**
 * Swaps the new database in and checks that the name `target` now means it. A signal that arrives meanwhile takes
 * effect afterwards.
 *
 * @param kept the new name of the database that is replaced; undefined: there is none
 * @throws the error of the swap; exit code 3 where `target` is another database afterwards
 */
export function swapIn(postgres: Postgres, target: string, next: string, kept?: string): Promise<void> {
  return deferSignals(async () => {
    const oid = await oidOf(postgres, next);
    const started = performance.now();
    // When the connection is lost during the commit, only the server knows whether it succeeded.
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
          'something else renames databases: see `psql -l`.',
        )
      );
    }
    const seconds = (performance.now() - started) / 1000;
    log.done(`swapped in ${duration(seconds)}${kept ? `; the old database is ${kept}` : ''}`);
  });
}
