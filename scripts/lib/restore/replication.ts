/** Logical replication belongs to a database, not to its name: a swap leaves it with the database that is replaced. */
import type { Postgres } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { deferSignals } from '../core/signals.ts';
import { identifier, literal } from '../postgres/client.ts';
import {
  pauseSubscriptions,
  type Replication,
  replicationOf,
  resumeSubscriptions,
} from '../postgres/subscriptions.ts';
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
  let all: Replication[];
  try {
    all = await replicationOf(postgres, live, 'before');
  } catch (error) {
    const statements = `in each kept database of ${live}: ALTER SUBSCRIPTION … DISABLE; in ${live}: ALTER SUBSCRIPTION … ENABLE`;
    return [
      `${messageOf(error)}: see \\dRs and pg_replication_slots. Where they have subscriptions, ${statements}`,
    ];
  }
  for (const kept of all.filter(({ database }) => database !== live)) {
    const name = kept.database;
    await attempt(
      async () =>
        (await pauseSubscriptions(postgres, kept)).map(
          subscription =>
            `subscription ${subscription} of the kept database ${name} is disabled; ./scripts/restore.ts --undo enables it again`,
        ),
      `it still replicates into ${name}. In ${name}: ALTER SUBSCRIPTION … DISABLE`,
    );
    lines.push(...kept.slots.map(slot => ofKeptSlot(live, name, slot)));
  }
  const own = all.find(({ database }) => database === live);
  let resumed: string[] = [];
  const resume = async () => {
    resumed = own ? await resumeSubscriptions(postgres, own) : [];
    return resumed.map(name => `subscription ${name} of ${live} is enabled again`);
  };
  await attempt(resume, `in ${live}: ALTER SUBSCRIPTION … ENABLE`);
  for (const { name, slot, enabled } of own?.subscriptions ?? [])
    if (!enabled && !resumed.includes(name)) lines.push(...ofDisabled(live, name, slot));
  if (own?.lacksScheduler)
    lines.push(
      `the scheduler of pg_cron has ended with the swap, so its jobs do not run: restart PostgreSQL, unless ` +
        `SELECT FROM pg_stat_activity WHERE backend_type LIKE 'pg_cron%' finds it again`,
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
