/** Subscriptions of logical replication: https://www.postgresql.org/docs/current/logical-replication-subscription.html */
import type { Postgres } from '../config/config.ts';
import { identifier, literal, query, runSql } from './client.ts';
import { maintenanceOf } from './databases.ts';

interface Subscription {
  name: string;
  enabled: boolean;
  /** The replication slot at the publisher; null: none. */
  slot: string | null;
}

/** A setting of a database whose subscriptions are paused: a JSON array with the names of those that were enabled. */
export const PAUSED_SETTING = 'restore.paused_subscriptions';

/** @returns the subscriptions of a database, by name */
export function subscriptionsOf(postgres: Postgres, database: string): Promise<Subscription[]> {
  const sql = `SELECT subname AS name, subenabled AS enabled, subslotname AS slot
    FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname = ${literal(database)} ORDER BY 1`;
  return query(postgres, maintenanceOf(postgres), sql, { evenInterrupted: true });
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
  const names = (await subscriptionsOf(postgres, database)).map(({ name }) => name);
  if (names.length > 0)
    await change(postgres, database, `detach the subscriptions of ${database}`, names.flatMap(detached));
  return names;
}

/** Drops the subscriptions of a database, which PostgreSQL refuses to drop with them; never their slots. @throws CommandError */
export async function dropSubscriptions(postgres: Postgres, database: string): Promise<void> {
  const names = (await subscriptionsOf(postgres, database)).map(({ name }) => name);
  if (names.length === 0) return;
  const open = `ALTER DATABASE ${identifier(database)} ALLOW_CONNECTIONS true CONNECTION LIMIT -1`;
  const purpose = `drop the subscriptions of ${database}`;
  await runSql(postgres, maintenanceOf(postgres), open, { purpose, timeout: 60, evenInterrupted: true });
  await change(postgres, database, purpose, [
    DISABLE_TRIGGERS,
    ...names.flatMap(name => [...detached(name), `DROP SUBSCRIPTION ${identifier(name)}`]),
  ]);
}

/** @returns the names of the subscriptions that {@link pauseSubscriptions} has disabled; undefined: it has not */
async function pausedIn(postgres: Postgres, database: string): Promise<string[] | undefined> {
  const [row] = await query<{ names: string[] }>(
    postgres,
    maintenanceOf(postgres),
    `SELECT substr(setting, strpos(setting, '=') + 1)::json AS names
     FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase, unnest(setconfig) AS setting
     WHERE datname = ${literal(database)} AND setrole = 0 AND starts_with(setting, '${PAUSED_SETTING}=')`,
  );
  return row?.names;
}

/**
 * Disables the enabled subscriptions of a database and notes their names in it.
 * @returns their names
 * @throws CommandError
 */
export async function pauseSubscriptions(postgres: Postgres, database: string): Promise<string[]> {
  const enabled = (await subscriptionsOf(postgres, database)).filter(each => each.enabled);
  if (enabled.length === 0) return [];
  const names = enabled.map(({ name }) => name);
  const noted = [...new Set([...((await pausedIn(postgres, database)) ?? []), ...names])];
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
export async function resumeSubscriptions(postgres: Postgres, database: string): Promise<string[]> {
  const paused = await pausedIn(postgres, database);
  if (paused === undefined) return [];
  const existing = await subscriptionsOf(postgres, database);
  const names = paused.filter(name => existing.some(each => each.name === name));
  await change(postgres, database, `enable the subscriptions of ${database}`, [
    ...names.map(name => `ALTER SUBSCRIPTION ${identifier(name)} ENABLE`),
    `ALTER DATABASE ${identifier(database)} RESET ${PAUSED_SETTING}`,
  ]);
  return names;
}
