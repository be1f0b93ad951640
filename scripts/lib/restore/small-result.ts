import type { Source } from '../backup/source.ts';
import { confirm, hasTerminal } from '../cli/confirm.ts';
import type { Config } from '../config/config.ts';
import { again } from '../core/command-line.ts';
import { usageError } from '../core/errors.ts';
import { count } from '../core/format.ts';
import { log } from '../core/log.ts';
import { type Patience, underLockWatch } from '../postgres/lock-watch.ts';
import { countRows, estimateRows, totalRows } from '../postgres/row-counts.ts';
import { openSession } from '../postgres/session.ts';
import type { Confirmation } from './options.ts';

/** A restore that leaves less than this part of the rows has a confirmation of its own. */
const SMALL = 0.1;

/**
 * Asks for a confirmation of its own before a database is replaced by one with less than a tenth of its rows: an empty
 * dump is complete, too.
 *
 * @param live the database that is replaced
 * @param loaded how many rows the new database has, for a source without a manifest
 * @throws exit code 2 where it is not confirmed; 1 where a table stays locked for longer than BACKUP_LOCK_WAIT
 */
export async function confirmSmall(
  config: Config,
  source: Source,
  live: string,
  { yes, dryRun, allowSmall }: Confirmation & { allowSmall?: boolean },
  loaded?: number,
): Promise<void> {
  const patience = { limit: config.lockWait, left: config.lockWait };
  const next = source.manifest ? totalRows(source.manifest.tables) : loaded!;
  const isSmall = async (exact: boolean) => next < SMALL * (await rowsIn(config, live, exact, patience));
  // Counting takes minutes on a large database: it is only done where the estimates differ that much.
  if (!(await isSmall(false)) || !(await isSmall(true))) return;
  const now = await rowsIn(config, live, true, patience);
  const what = `${source.name} has ${count(next)} rows, and database ${live}, which it replaces, has ${count(now)}`;
  if (allowSmall || dryRun) {
    log.warn(what);
    return;
  }
  if (yes || !hasTerminal()) {
    throw usageError(
      what,
      `the live database is unchanged. Add --allow-small to replace it anyway; \`${again('restore.ts', [source.name], ['--database', `${live}_copy`])}\` restores into another database.`,
    );
  }
  await confirm(`${what}.`, live, false);
}

async function rowsIn(
  { postgres }: Config,
  database: string,
  exact: boolean,
  patience: Patience,
): Promise<number> {
  await using session = openSession(postgres, database);
  const read = async () => (exact ? totalRows(await countRows(session)) : await estimateRows(session.query));
  const [backend] = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return await underLockWatch(postgres, database, backend!, patience, read);
}
