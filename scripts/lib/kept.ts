import { confirm, type Result } from './cli.ts';
import type { Config } from './config.ts';
import { besideName, besides, drop, oidOf } from './database.ts';
import { OperationalError } from './errors.ts';
import { log } from './log.ts';
import { swapIn } from './restore.ts';

/** @returns the databases that restores have kept, newest first */
export async function keptDatabases({ postgres }: Config): Promise<string[]> {
  const kept = await besides(postgres, postgres.database, 'before');
  if (kept.length > 0) return kept;
  throw new OperationalError(
    `no database is kept beside ${postgres.database}`,
    'only a restore keeps one, and --finish drops it. list-backups.ts shows the backup made before it.',
  );
}

/** Swaps the newest kept database back in. What it replaces is kept in turn, so that this can be undone too. */
export async function undo(config: Config, yes: boolean | undefined): Promise<Result> {
  const { postgres } = config;
  const live = postgres.database;
  const [newest] = await keptDatabases(config);
  await confirm(`This puts ${newest} back in the place of ${live}.`, live, yes);
  log.changesBegin();
  const bare = (await oidOf(postgres, live)) === undefined;
  const kept = bare ? undefined : await besideName(postgres, live, 'before');
  await swapIn(postgres, live, newest!, kept);
  return {
    text: `${live} is again what it was before the restore${kept ? `; what it replaced is ${kept}` : ''}`,
    json: { database: live, restored: newest, kept: kept ?? null },
  };
}

/** Drops all kept databases. */
export async function finish(config: Config, yes: boolean | undefined): Promise<Result> {
  const { postgres } = config;
  const kept = await keptDatabases(config);
  await confirm(`This drops ${kept.join(', ')}, for good.`, postgres.database, yes);
  log.changesBegin();
  for (const name of kept) await drop(postgres, name);
  return { text: `dropped ${kept.join(', ')}`, json: { dropped: kept } };
}
