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

interface Options {
  yes?: boolean;
  'dry-run'?: boolean;
}

/** Swaps the newest kept database back in. What it replaces is kept in turn, so that this can be undone too. */
export async function undo(config: Config, options: Options): Promise<Result> {
  const { postgres } = config;
  const live = postgres.database;
  const others = await keptDatabases(config);
  const [newest] = others;
  const question = `This puts ${newest} back in the place of ${live}.`;
  if (options['dry-run'])
    return { text: `would go on: ${question}`, json: { dryRun: true, database: live, restored: newest } };
  await confirm(question, live, options.yes);
  log.changesBegin();
  const bare = (await oidOf(postgres, live)) === undefined;
  const kept = bare ? undefined : besideName(live, 'before', others);
  await swapIn(postgres, live, newest!, kept);
  return {
    text: `${live} is again what it was before the restore${kept ? `; what it replaced is ${kept}` : ''}`,
    json: { database: live, restored: newest, kept: kept ?? null },
  };
}

/** Drops all kept databases. */
export async function finish(config: Config, options: Options): Promise<Result> {
  const { postgres } = config;
  const kept = await keptDatabases(config);
  const question = `This drops ${kept.join(', ')}, for good.`;
  if (options['dry-run']) return { text: `would go on: ${question}`, json: { dryRun: true, dropped: kept } };
  await confirm(question, postgres.database, options.yes);
  log.changesBegin();
  for (const name of kept) await drop(postgres, name);
  return { text: `dropped ${kept.join(', ')}`, json: { dropped: kept } };
}
