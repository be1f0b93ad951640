/** Logical replication belongs to a database, not to its name: a swap leaves it with the database that is replaced. */
import type { Postgres } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { deferSignals } from '../core/signals.ts';
import { identifier, literal, query } from '../postgres/client.ts';
import { maintenanceOf, siblingDatabases } from '../postgres/databases.ts';
import { pauseSubscriptions, resumeSubscriptions, subscriptionsOf } from '../postgres/subscriptions.ts';
import { swapIn } from './swap.ts';

/**
 * Swaps a database in for the live one and settles its replication, as one step for signals.
 * @returns the lines of {@link settleReplication}
 * @throws like {@link swapIn}
 */
export function replaceLive(postgres: Postgres, next: string, kept: string | undefined): Promise<string[]> {
  return deferSignals(async () => {
    await swapIn(postgres, postgres.database, next, kept);
    return settleReplication(postgres);
  });
}

/** @returns the logical replication slots of a database, by name */
export async function logicalSlots(postgres: Postgres, database: string): Promise<string[]> {
  const sql = `SELECT slot_name AS name FROM pg_replication_slots WHERE database = ${literal(database)} ORDER BY 1`;
  return (await query<{ name: string }>(postgres, maintenanceOf(postgres), sql)).map(({ name }) => name);
}

/**
 * After a swap: stops the replication into the kept databases, lets that of a database which is live again go on, and finds
 * out what is left to do. It does so again for what a killed run left. A failure becomes a line: the swap is done.
 *
 * @returns a line for each thing that happened, or that the operator must do, with the statements
 */
async function settleReplication(postgres: Postgres): Promise<string[]> {
  const live = postgres.database;
  const lines: string[] = [];
  const attempt = async (work: () => Promise<string[]>, otherwise: string) => {
    try {
      lines.push(...(await work()));
    } catch (error) {
      lines.push(`${messageOf(error)}: ${otherwise}`);
    }
  };
  let kepts: string[] = [];
  await attempt(async () => {
    kepts = await siblingDatabases(postgres, 'before');
    return [];
  }, `in each kept database of ${live}: ALTER SUBSCRIPTION … DISABLE`);
  for (const kept of kepts) {
    await attempt(
      async () =>
        (await pauseSubscriptions(postgres, kept)).map(
          name =>
            `subscription ${name} of the kept database ${kept} is disabled; restore.ts --undo enables it again`,
        ),
      `it still replicates into ${kept}. In ${kept}: ALTER SUBSCRIPTION … DISABLE`,
    );
    await attempt(
      async () => (await logicalSlots(postgres, kept)).map(slot => ofKeptSlot(live, kept, slot)),
      `see pg_replication_slots for the slots of ${kept}: they keep WAL`,
    );
  }
  await attempt(
    async () =>
      (await resumeSubscriptions(postgres, live)).map(
        name => `subscription ${name} of ${live} is enabled again`,
      ),
    `in ${live}: ALTER SUBSCRIPTION … ENABLE`,
  );
  await attempt(
    async () =>
      (await subscriptionsOf(postgres, live))
        .filter(({ enabled }) => !enabled)
        .flatMap(({ name, slot }) => ofDisabled(live, name, slot)),
    `see \\dRs in ${live} for its subscriptions`,
  );
  return lines;
}

/*
 * Whatever the publisher sends for a table that the subscription does not know yet is skipped, and PostgreSQL only refreshes
 * the tables of an enabled subscription. So they are refreshed while the subscription has a slot that does not exist.
 */
function ofDisabled(live: string, name: string, slot: string | null): string[] {
  const alter = (...actions: string[]) =>
    actions.map(action => `ALTER SUBSCRIPTION ${identifier(name)} ${action};`).join(' ');
  if (slot === null) return [`subscription ${name} of ${live} is disabled and has no slot`];
  const resume = alter(
    'SET (slot_name = no_such_slot)',
    'ENABLE',
    'REFRESH PUBLICATION WITH (copy_data = false)',
    'DISABLE',
    `SET (slot_name = ${identifier(slot)})`,
    'ENABLE',
  );
  return [
    `subscription ${name} of ${live} is disabled. To copy its tables again, empty them; then in ${live}: ` +
      alter('ENABLE', 'REFRESH PUBLICATION'),
    `or, to go on from its slot ${slot} (changes between the backup and the restore are missing), in ${live}: ${resume}`,
  ];
}

function ofKeptSlot(live: string, kept: string, slot: string): string {
  return (
    `replication slot ${slot} belongs to the kept database ${kept}: its consumer gets no changes of ${live}, and it keeps WAL. ` +
    `Stop the consumer, and in ${live}: SELECT pg_drop_replication_slot(${literal(slot)}); ` +
    `SELECT pg_create_logical_replication_slot(${literal(slot)}, 'pgoutput');`
  );
}
