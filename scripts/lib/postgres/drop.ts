import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { identifier, literal, runSql } from './client.ts';
import { maintenanceOf } from './databases.ts';
import { loadersSql } from './loader.ts';
import { query } from './query.ts';
import { dropSubscriptions, type Subscription } from './subscriptions.ts';

interface Obstacles {
  exists: boolean;
  template: boolean | null;
  /** Roles that were to load it. */
  loaders: string[];
  /** Processes that read a logical replication slot of it. */
  readers: { slot: string; pid: number; application: string }[];
  prepared: string[];
  subscriptions: Pick<Subscription, 'name' | 'slot'>[];
}

/**
 * Drops a database with its subscriptions, and ends its sessions; one that does not exist counts as dropped.
 *
 * @returns the slots at publishers that its subscriptions had, and that are still there
 * @throws OperationalError with the reason and the statement: where a slot of it is read or a transaction is prepared, which
 *   an operator must decide about, or the server refuses it
 */
export async function drop(postgres: Postgres, name: string): Promise<string[]> {
  const [obstacles] = await query<Obstacles>(
    postgres,
    maintenanceOf(postgres),
    `SELECT d.oid IS NOT NULL AS exists, datistemplate AS template,
       ARRAY(${loadersSql(name)}) AS loaders,
       ARRAY(SELECT gid FROM pg_prepared_xacts WHERE database = d.datname) AS prepared,
       (SELECT coalesce(json_agg(json_build_object('name', subname, 'slot', subslotname) ORDER BY subname), '[]')
        FROM pg_subscription WHERE subdbid = d.oid) AS subscriptions,
       (SELECT coalesce(json_agg(json_build_object('slot', slot_name, 'pid', active_pid, 'application', application_name)), '[]')
        FROM pg_replication_slots LEFT JOIN pg_stat_activity ON pid = active_pid
        WHERE database = d.datname AND active) AS readers
     FROM (VALUES (${literal(name)})) AS wanted (name) LEFT JOIN pg_database d ON datname = wanted.name`,
    { evenInterrupted: true },
  );
  const { exists, template, readers, prepared, loaders, subscriptions } = obstacles!;
  if (!exists) {
    await dropLoaders(postgres, loaders);
    return [];
  }
  const statement = `DROP DATABASE IF EXISTS ${identifier(name)} WITH (FORCE)`;
  const refuse = (reason: string, first: string) => {
    throw new OperationalError(`could not drop database ${name}: ${reason}`, `${first}, then: ${statement}`);
  };
  for (const { slot, pid, application } of readers)
    refuse(`process ${pid} (${application}) reads its replication slot ${slot}`, 'stop that consumer');
  if (prepared.length > 0)
    refuse(
      `it has a prepared transaction (${prepared[0]})`,
      'connect to it and COMMIT PREPARED or ROLLBACK PREPARED it',
    );
  const options = { purpose: `drop database ${name}`, evenInterrupted: true };
  if (template) {
    const unmark = `ALTER DATABASE ${identifier(name)} IS_TEMPLATE false`;
    await runSql(postgres, maintenanceOf(postgres), unmark, { ...options, timeout: 60 });
  }
  await dropSubscriptions(
    postgres,
    name,
    subscriptions.map(each => each.name),
  );
  const hint = `see who uses it: SELECT * FROM pg_stat_activity, then: ${statement}`;
  const hints = { 55006: hint, '55P03': hint };
  await runSql(postgres, maintenanceOf(postgres), statement, { ...options, timeout: 3600, hint, hints });
  await dropLoaders(postgres, loaders);
  return subscriptions.flatMap(({ slot }) => slot ?? []);
}

/**
 * Drops roles of loads that are over, with their privileges on tablespaces. Their databases are gone.
 * @throws CommandError
 */
export async function dropLoaders(postgres: Postgres, loaders: string[]): Promise<void> {
  if (loaders.length === 0) return;
  const list = loaders.map(identifier).join(', ');
  await runSql(postgres, maintenanceOf(postgres), `DROP OWNED BY ${list}; DROP ROLE ${list}`, {
    purpose: `drop role ${list}, which loaded a database`,
    timeout: 60,
    evenInterrupted: true,
  });
}
