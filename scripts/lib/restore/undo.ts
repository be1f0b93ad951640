import type { Result } from '../cli/command.ts';
import type { Config, Postgres } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { literal } from '../postgres/client.ts';
import { oidOf, siblingName } from '../postgres/databases.ts';
import { drop } from '../postgres/drop.ts';
import { type Replication, replicationOf } from '../postgres/subscriptions.ts';
import { type Confirmation, confirmed } from './options.ts';
import { replaceLive } from './replication.ts';

/** @returns the databases that restores have replaced and kept, newest first; at least one */
async function keptDatabases({ postgres }: Config): Promise<[Replication, ...Replication[]]> {
  const all = await replicationOf(postgres, postgres.database, 'before');
  const [newest, ...others] = all.filter(({ database }) => database !== postgres.database);
  if (newest !== undefined) return [newest, ...others];
  throw new OperationalError(
    `there is no kept database of ${postgres.database}`,
    'a restore keeps the database that it replaces until --finish. ./scripts/list-backups.ts shows the backup made before it.',
  );
}

/**
 * Swaps the newest kept database back in. The database that it replaces is kept in turn, so an undo can be undone.
 * @throws OperationalError where no database is kept, or the swap fails
 */
export async function undo(config: Config, confirmation: Confirmation): Promise<Result> {
  const { postgres } = config;
  const live = postgres.database;
  const others = (await keptDatabases(config)).map(({ database }) => database);
  const newest = others[0]!;
  const plan = {
    question: `This replaces ${live} with ${newest}.`,
    database: live,
    json: { database: live, restored: newest },
  };
  return confirmed(plan, confirmation, async () => {
    const databaseMissing = (await oidOf(postgres, live)) === undefined;
    const kept = databaseMissing ? undefined : siblingName(live, 'before', others);
    const replication = await replaceLive(postgres, newest, kept);
    const replaced = kept ? `; the database that it replaced is ${kept}` : '';
    return {
      text: [`${newest} is ${live} again${replaced}`, ...replication].join('\n'),
      json: { ...plan.json, kept: kept ?? null, replication },
    };
  });
}

/**
 * Drops all kept databases.
 * @throws OperationalError where none is kept; where some can't be dropped, with the reason of the first, when the others are
 */
export async function finish(config: Config, confirmation: Confirmation): Promise<Result> {
  const { postgres } = config;
  const found = await keptDatabases(config);
  const kept = found.map(({ database }) => database);
  const slots = found.flatMap(each => each.slots);
  const plan = {
    question: `This permanently drops ${kept.join(', ')}${slots.length > 0 ? ` and the replication slots ${slots.join(', ')}` : ''}.`,
    database: postgres.database,
    json: { dropped: kept },
  };
  return confirmed(plan, confirmation, async () => {
    const dropped: string[] = [];
    const failures: unknown[] = [];
    const unused: string[] = [];
    for (const name of kept) {
      try {
        unused.push(...(await drop(postgres, name)));
        dropped.push(name);
      } catch (error) {
        failures.push(error);
      }
    }
    const text = dropped.length > 0 ? `dropped ${dropped.join(', ')}` : 'dropped nothing';
    if (failures.length > 0) {
      const [first] = failures;
      if (!(first instanceof OperationalError)) throw first;
      throw new OperationalError(
        `${text}. ${failures.map(messageOf).join('; ')}`,
        first.hint,
        first.exitCode,
      );
    }
    const replication = await slotsLeft(postgres, unused);
    return { text: [text, ...replication].join('\n'), json: { dropped, replication } };
  });
}

/** @returns a line for each slot at a publisher that the live database does not use: an unused slot keeps WAL there */
export async function slotsLeft(postgres: Postgres, slots: string[]): Promise<string[]> {
  if (slots.length === 0) return [];
  const [live] = await replicationOf(postgres, postgres.database);
  const used = live?.subscriptions.map(({ slot }) => slot) ?? [];
  return [...new Set(slots)]
    .filter(slot => !used.includes(slot))
    .map(
      slot =>
        `no subscription of ${postgres.database} uses slot ${slot} at its publisher, where it keeps WAL. ` +
        `If nothing else uses it, drop it there: SELECT pg_drop_replication_slot(${literal(slot)})`,
    );
}
