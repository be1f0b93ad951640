/** Subscriptions of logical replication: https://www.postgresql.org/docs/current/logical-replication-subscription.html */
import type { Postgres } from '../config/config.ts';
import { identifier, literal, runSql } from './client.ts';
import { maintenanceOf, type SiblingKind, siblingsSql } from './databases.ts';
import { query } from './query.ts';

export interface Subscription {
  name: string;
  enabled: boolean;
  /** The replication slot at the publisher; null: none. */
  slot: string | null;
}

/** A setting of a database whose subscriptions are paused: a JSON array with the names of those that were enabled. */
export const PAUSED_SETTING = 'restore.paused_subscriptions';

/** The logical replication from and into a database. */
export interface Replication {
  database: string;
  subscriptions: Subscription[];
  /** Of this server, by name. */
  slots: string[];
  /** The names of the subscriptions that {@link pauseSubscriptions} has disabled; null: it has not. */
  paused: string[] | null;
}

/** @returns that of a database, if it exists, and of its siblings of a kind, newest first */
export function replicationOf(
  postgres: Postgres,
  database: string,
  kind?: SiblingKind,
): Promise<Replication[]> {
  const siblings = kind ? ` OR datname IN (SELECT name FROM (${siblingsSql(database, kind)}) AS s)` : '';
  return query(
    postgres,
    maintenanceOf(postgres),
    `SELECT datname AS database,
       (SELECT coalesce(json_agg(json_build_object('name', subname, 'enabled', subenabled, 'slot', subslotname)
          ORDER BY subname), '[]') FROM pg_subscription WHERE subdbid = d.oid) AS subscriptions,
       ARRAY(SELECT slot_name FROM pg_replication_slots WHERE database = datname ORDER BY slot_name) AS slots,
       (SELECT substr(setting, strpos(setting, '=') + 1)::json FROM pg_db_role_setting, unnest(setconfig) AS setting
          WHERE setdatabase = d.oid AND setrole = 0 AND starts_with(setting, '${PAUSED_SETTING}=')) AS paused
     FROM pg_database d WHERE datname = ${literal(database)}${siblings} ORDER BY datname DESC`,
    { evenInterrupted: true },
  );
}

/*
 * A database's own event triggers would act on, or forbid, what is done to its subscriptions. Only a superuser may set
 * this; a WHERE without a row evaluates nothing.
 */
const WITHOUT_TRIGGERS = `SELECT set_config('session_replication_role', 'replica', false)
  FROM pg_roles WHERE rolname = current_user AND rolsuper`;

/** These are not subject to session_replication_role if they are ENABLE ALWAYS; for a database that is to be dropped. */
const DISABLE_TRIGGERS = `DO $$ DECLARE name name; BEGIN
  FOR name IN SELECT evtname FROM pg_event_trigger WHERE evtenabled = 'A' LOOP
    EXECUTE format('ALTER EVENT TRIGGER %I DISABLE', name);
  END LOOP; END $$`;

function change(
  postgres: Postgres,
  database: string,
  purpose: string,
  statements: string[],
): Promise<string> {
  return runSql(postgres, database, [WITHOUT_TRIGGERS, ...statements].join('; '), {
    purpose,
    timeout: 60,
    evenInterrupted: true,
  });
}

const detached = (name: string) => [
  `ALTER SUBSCRIPTION ${identifier(name)} DISABLE`,
  `ALTER SUBSCRIPTION ${identifier(name)} SET (slot_name = NONE)`, // else DROP SUBSCRIPTION drops the live one's slot
];

/**
 * Disables the subscriptions of a copy and detaches them from their slots, which belong to the live database.
 * @returns their names
 * @throws CommandError
 */
export async function detachSubscriptions(postgres: Postgres, database: string): Promise<string[]> {
  const [replication] = await replicationOf(postgres, database);
  const names = replication?.subscriptions.map(({ name }) => name) ?? [];
  if (names.length > 0)
    await change(postgres, database, `detach the subscriptions of ${database}`, names.flatMap(detached));
  return names;
}

/**
 * Drops the subscriptions of a database, which PostgreSQL refuses to drop with them; never their slots.
 * @param names of all of them
 * @throws CommandError
 */
export async function dropSubscriptions(
  postgres: Postgres,
  database: string,
  names: string[],
): Promise<void> {
  if (names.length === 0) return;
  const open = `ALTER DATABASE ${identifier(database)} ALLOW_CONNECTIONS true CONNECTION LIMIT -1`;
  const purpose = `drop the subscriptions of ${database}`;
  await runSql(postgres, maintenanceOf(postgres), open, { purpose, timeout: 60, evenInterrupted: true });
  await change(postgres, database, purpose, [
    DISABLE_TRIGGERS,
    ...names.flatMap(name => [...detached(name), `DROP SUBSCRIPTION ${identifier(name)}`]),
  ]);
}

/**
 * Disables the enabled subscriptions of a database and notes their names in it.
 * @returns their names
 * @throws CommandError
 */
export async function pauseSubscriptions(
  postgres: Postgres,
  { database, subscriptions, paused }: Replication,
): Promise<string[]> {
  const names = subscriptions.filter(({ enabled }) => enabled).map(({ name }) => name);
  if (names.length === 0) return [];
  const noted = [...new Set([...(paused ?? []), ...names])];
  await change(postgres, database, `disable the subscriptions of ${database}`, [
    `ALTER DATABASE ${identifier(database)} SET ${PAUSED_SETTING} TO ${literal(JSON.stringify(noted))}`,
    ...names.map(name => `ALTER SUBSCRIPTION ${identifier(name)} DISABLE`),
  ]);
  return names;
}

/**
 * Enables what {@link pauseSubscriptions} has disabled, and removes its note.
 * @returns their names
 * @throws CommandError
 */
export async function resumeSubscriptions(
  postgres: Postgres,
  { database, subscriptions, paused }: Replication,
): Promise<string[]> {
  if (paused === null) return [];
  const names = paused.filter(name => subscriptions.some(each => each.name === name));
  await change(postgres, database, `enable the subscriptions of ${database}`, [
    ...names.map(name => `ALTER SUBSCRIPTION ${identifier(name)} ENABLE`),
    `ALTER DATABASE ${identifier(database)} RESET ${PAUSED_SETTING}`,
  ]);
  return names;
}
