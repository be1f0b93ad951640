import type { Result } from '../cli/command.ts';
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { drop, oidOf, siblingDatabases, siblingName } from '../postgres/databases.ts';
import { type Confirmation, confirmed } from './options.ts';
import { swapIn } from './swap.ts';

/** @returns the databases that restores have replaced and kept, newest first; at least one */
async function keptDatabases({ postgres }: Config): Promise<[string, ...string[]]> {
  const [newest, ...others] = await siblingDatabases(postgres, postgres.database, 'before');
  if (newest !== undefined) return [newest, ...others];
  throw new OperationalError(
    `there is no kept database of ${postgres.database}`,
    'a restore keeps the database that it replaces until --finish. list-backups.ts shows the backup made before it.',
  );
}

/**
 * Swaps the newest kept database back in. The database that it replaces is kept in turn, so an undo can be undone.
 * @throws OperationalError where no database is kept, or the swap fails
 */
export async function undo(config: Config, confirmation: Confirmation): Promise<Result> {
  const { postgres } = config;
  const live = postgres.database;
  const others = await keptDatabases(config);
  const [newest] = others;
  const plan = {
    question: `This replaces ${live} with ${newest}.`,
    database: live,
    json: { database: live, restored: newest },
  };
  return confirmed(plan, confirmation, async () => {
    const databaseMissing = (await oidOf(postgres, live)) === undefined;
    const kept = databaseMissing ? undefined : siblingName(live, 'before', others);
    await swapIn(postgres, live, newest, kept);
    return {
      text: `${newest} is ${live} again${kept ? `; the database that it replaced is ${kept}` : ''}`,
      json: { ...plan.json, kept: kept ?? null },
    };
  });
}

/**
 * Drops all kept databases.
 * @throws OperationalError where none is kept
 */
export async function finish(config: Config, confirmation: Confirmation): Promise<Result> {
  const { postgres } = config;
  const dropped = await keptDatabases(config);
  const names = dropped.join(', ');
  const plan = {
    question: `This permanently drops ${names}.`,
    database: postgres.database,
    json: { dropped },
  };
  return confirmed(plan, confirmation, async () => {
    for (const name of dropped) await drop(postgres, name);
    return { text: `dropped ${names}`, json: { dropped } };
  });
}
