/** What a rollback does to the database, and its way back. */
import { resolve } from 'node:path';
import { findSource } from '../backup/find.ts';
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { databaseOf, oidOf, siblingDatabases, siblingName } from '../postgres/databases.ts';
import { foreignness } from '../restore/foreign.ts';
import type { RestoreRequest } from '../restore/options.ts';
import { replaceLive } from '../restore/replication.ts';
import { runRestore } from '../restore/run-restore.ts';
import { confirmSmall } from '../restore/small-result.ts';
import { dropLeftovers } from '../restore/swap.ts';
import type { DataChange } from './journal.ts';

interface RestorePlan {
  /** For the question: that the backup is foreign. Empty for all others. */
  warning: string;
  data: DataChange;
}

/**
 * Finds the backup, judges it, reads and checks all of it, and checks the space for it, before the rollback begins: a refusal
 * in the middle would leave the maintenance page to the visitors for nothing.
 *
 * @throws exit code 2 for a foreign backup, or one with less than a tenth of the rows, that is not confirmed; 3 where there
 *   is none, or it is damaged
 */
export async function planRestore(
  config: Config,
  wanted: string,
  { yes, allowForeign, allowSmall }: Pick<RestoreRequest, 'yes' | 'allowForeign' | 'allowSmall'>,
): Promise<RestorePlan> {
  const { postgres } = config;
  const source = await findSource(config, wanted, undefined);
  const warning = foreignness(config, source, { wanted, migrate: false, yes, allowForeign });
  const oid = (await oidOf(postgres, postgres.database)) ?? null;
  const isCounted = oid !== null && source.manifest !== null;
  if (isCounted) await confirmSmall(config, source, postgres.database, { yes, allowSmall });
  const named = lasting(wanted, source.name);
  await runRestore(config, { ...request(named), dryRun: true });
  return {
    warning,
    data: { wanted: named, allowSmall: allowSmall || isCounted, oid, maintenance: false },
  };
}

/** Without migrations: the backup is from the time of the release. What is to be confirmed is confirmed before. */
const request = (wanted: string): RestoreRequest => ({
  wanted,
  migrate: false,
  yes: true,
  allowForeign: true,
});

/** What means the same backup later, and from another directory. */
function lasting(wanted: string, name: string): string {
  if (wanted === 'latest') return name;
  return wanted.includes('/') && !wanted.startsWith('s3://') ? resolve(wanted) : wanted;
}

/**
 * Restores the backup, unless a killed run has swapped it in: the live database has another number then.
 *
 * @throws like {@link runRestore}; the live database is then as it was
 */
export async function restoreData(config: Config, { wanted, allowSmall, oid }: DataChange): Promise<void> {
  const { postgres } = config;
  const now = (await oidOf(postgres, postgres.database)) ?? null;
  if (now !== null && now !== oid) {
    log.info(`${postgres.database} is restored and swapped in already`);
    return;
  }
  const { text } = await runRestore(config, { ...request(wanted), allowSmall });
  log.info(text!);
}

/**
 * Swaps the database back that was live before, if it is not, and drops the copy of the backup. It can be repeated after a kill
 * at any point.
 *
 * @throws OperationalError when that database does not exist any more, or the swap fails
 */
export async function swapDataBack(config: Config, { oid }: DataChange): Promise<void> {
  const { postgres } = config;
  const live = postgres.database;
  const now = await oidOf(postgres, live);
  if (oid === null) {
    if (now !== undefined) log.warn(`${live} did not exist before: the restored database stays`);
  } else if (now !== oid) {
    const kept = await databaseOf(postgres, oid);
    if (kept === undefined) {
      throw new OperationalError(
        `the database that was ${live} before the rollback does not exist any more`,
        './scripts/deploy.ts --resume finishes the rollback; ./scripts/list-backups.ts shows the backup of that database.',
      );
    }
    const copy =
      now === undefined ? undefined : siblingName(live, 'new', await siblingDatabases(postgres, 'new'));
    for (const line of await replaceLive(postgres, kept, copy)) log.info(line);
    log.done(`${live} is the database from before the rollback again`);
  }
  await dropLeftovers(postgres, 'new');
}
