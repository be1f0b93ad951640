import type { LocalSource } from '../backup/fetch.ts';
import type { Postgres } from '../config/config.ts';
import { messageOf, OperationalError, verificationError } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { CommandError } from '../core/shell.ts';
import { deferSignals } from '../core/signals.ts';
import { OutcomeUnknown } from '../postgres/abandoned.ts';
import { applyProperties, type Properties, readProperties } from '../postgres/database-properties.ts';
import { maintenanceOf, oidOf, siblingDatabases } from '../postgres/databases.ts';
import { drop } from '../postgres/drop.ts';
import { queryOf } from '../postgres/query.ts';
import { PAUSED_SETTING } from '../postgres/subscriptions.ts';
import { PATIENCE, swap } from '../postgres/swap.ts';

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
  const apply = ({ settings, ...rest }: Properties, withoutOwners?: boolean) => {
    const kept = settings.filter(({ name }) => name !== PAUSED_SETTING);
    return applyProperties(postgres, next, { ...rest, settings: kept }, withoutOwners);
  };
  if (live) return apply(await readProperties(queryOf(postgres, maintenanceOf(postgres)), live));
  if (!source.manifest) return;
  try {
    await apply(source.manifest.properties, source.without?.owners);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // A managed server may allow less than the old server did; the data is restored anyway.
    log.warn(`the database has the server’s default owner, settings and privileges: ${error.message}`);
  }
}

/**
 * Drops the databases that killed restores or drills left; one that can't be dropped is named. Call it under the lock only.
 * @returns those that are still there
 */
export async function dropLeftovers(postgres: Postgres, kind: 'new' | 'drill'): Promise<string[]> {
  const left: string[] = [];
  for (const name of await siblingDatabases(postgres, kind)) {
    log.warn(`dropping database ${name}, left by a run that did not finish`);
    if (!(await dropOrWarn(postgres, name))) left.push(name);
  }
  return left;
}

/** Drops a copy. @returns whether it is dropped; if not, a warning has the reason and the statement */
export async function dropOrWarn(postgres: Postgres, name: string): Promise<boolean> {
  try {
    await drop(postgres, name);
    return true;
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    log.warn(
      `database ${name} is left over; the next run tries to drop it. ${error.message}\n  → ${error.hint}`,
    );
    return false;
  }
}

/**
 * Swaps the new database in and reads from the catalog which database the name `target` now means. A signal that arrives
 * meanwhile takes effect between two attempts or afterwards.
 *
 * @param kept the new name of the database that is replaced; undefined: there is none
 * @throws the error of the swap, where `target` is the database that it was; OutcomeUnknown; exit code 3 where `target` is
 *   another database afterwards
 */
export function swapIn(
  postgres: Postgres,
  target: string,
  next: string,
  kept?: string,
  patience = PATIENCE,
): Promise<void> {
  return deferSignals(async () => {
    const [oid, before] = await Promise.all([oidOf(postgres, next), oidOf(postgres, target)]);
    const started = performance.now();
    // When the connection is lost during the commit, only the server knows whether it succeeded.
    const failure: unknown = await swap(postgres, target, next, kept, patience).then(
      () => undefined,
      error => error,
    );
    const now = await oidOf(postgres, target).catch((error: unknown) => {
      const reason = `${failure === undefined ? '' : `${messageOf(failure)}; `}${messageOf(error)}`;
      throw new OutcomeUnknown(
        `whether ${next} was renamed to ${target} is unknown: ${reason}`,
        `when the server answers, see \`psql -l\`: ${next} is only listed if it was not renamed.`,
      );
    });
    if (oid === undefined || now !== oid) {
      if (failure !== undefined && now === before) throw failure;
      throw verificationError(
        `${target} is not the database that was swapped in`,
        'something else renames databases: see `psql -l`.',
      );
    }
    const seconds = (performance.now() - started) / 1000;
    log.done(`swapped in ${duration(seconds)}${kept ? `; the old database is ${kept}` : ''}`);
  });
}
