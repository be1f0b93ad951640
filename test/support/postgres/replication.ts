import { type ChildProcess, spawn } from 'node:child_process';
import { identifier } from '../../../scripts/lib/postgres/client.ts';
import { drop } from '../../../scripts/lib/postgres/drop.ts';
import { begin } from '../core/expect.ts';
import { createTurns, type Turns } from '../core/turns.ts';
import { until, type World } from '../core/world.ts';
import { databases } from './compare.ts';

/** The slot of {@link subscribe}. */
export const SLOT = 'app_slot';

/** Logical replication and prepared transactions need a server that allows them. */
async function allowReplication(world: World): Promise<void> {
  const settings = [
    'wal_level = logical',
    'max_prepared_transactions = 3',
    "wal_retrieve_retry_interval = '100ms'",
  ];
  for (const setting of settings) await world.sql(`ALTER SYSTEM SET ${setting}`, 'postgres');
  await world.pg.halt();
  await world.pg.resume();
}

/** Makes the live database a subscriber of another one of the same server, for which the slot must exist before. */
export async function subscribe(world: World): Promise<void> {
  const table = 'CREATE TABLE items (id int PRIMARY KEY)';
  await world.sql('CREATE DATABASE pub', 'postgres');
  await world.sql(`${table}; CREATE PUBLICATION p FOR TABLE items`, 'pub');
  await world.sql(`SELECT pg_create_logical_replication_slot('${SLOT}', 'pgoutput')`, 'pub');
  const { host, port, user, password } = world.pg.postgres;
  await world.sql(table);
  await world.sql(`CREATE SUBSCRIPTION s
    CONNECTION 'host=${host} port=${port} user=${user} password=${password} dbname=pub' PUBLICATION p
    WITH (create_slot = false, slot_name = '${SLOT}', copy_data = false)`);
}

/** Adds a row to the published table. */
export const publish = (world: World, id: number) => world.sql(`INSERT INTO items VALUES (${id})`, 'pub');

export async function itemsOf(world: World, database = world.database): Promise<number[]> {
  const rows = await world.rows<{ id: number }>('SELECT id FROM items ORDER BY id', database);
  return rows.map(({ id }) => id);
}

/** Publishes a row and waits until the live database has it. */
export async function replicates(world: World, id: number): Promise<void> {
  await publish(world, id);
  await until(`row ${id} is replicated`, async () => (await itemsOf(world)).includes(id));
}

/** The subscriptions of all databases: database, whether it is enabled, slot. */
export const subscriptions = (world: World) =>
  world.rows<{ database: string; enabled: boolean; slot: string | null }>(
    `SELECT datname AS database, subenabled AS enabled, subslotname AS slot
     FROM pg_subscription JOIN pg_database d ON d.oid = subdbid ORDER BY datname`,
    'postgres',
  );

export const slots = async (world: World): Promise<string[]> =>
  (await world.rows<{ slot: string }>('SELECT slot_name AS slot FROM pg_replication_slots', 'postgres')).map(
    ({ slot }) => slot,
  );

/** A consumer of changes, as Debezium is one. It ends with its connection. */
export async function consume(
  world: World,
  database: string,
  slot: string,
): Promise<{ child: ChildProcess; stop: () => Promise<void> }> {
  const { POSTGRES_USER, POSTGRES_PASSWORD, ...env } = world.env;
  const args = [
    '-d',
    database,
    '--slot',
    slot,
    '--create-slot',
    '--if-not-exists',
    '--start',
    '-f',
    '-',
    '-n',
  ];
  const child = spawn('pg_recvlogical', [...args, '-P', 'test_decoding'], {
    env: { ...env, PGUSER: POSTGRES_USER, PGPASSWORD: POSTGRES_PASSWORD },
    stdio: 'ignore',
  });
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  const active = async () =>
    (await world.rows(`SELECT FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`, 'postgres'))
      .length === 1;
  await until('the slot is read', active);
  return {
    child,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      await until('the slot is free', async () => !(await active()));
    },
  };
}

/** Drops all databases with their subscriptions, which `DROP DATABASE` alone can't. */
async function dropReplication(world: World): Promise<void> {
  for (const name of await databases(world)) if (name !== 'pub') await drop(world.pg.postgres, name);
  const read = `SELECT FROM pg_replication_slots WHERE database = 'pub' AND active`;
  await until('the slot is free', async () => (await world.rows(read, 'postgres')).length === 0);
  await drop(world.pg.postgres, 'pub'); // if it exists
  await world.sql(`CREATE DATABASE ${identifier(world.database)}`, 'postgres');
}

/** Turns on a server that allows logical replication, with a database that has a state. */
export async function createReplicationTurns(): Promise<Turns> {
  const { inTurn, stop } = await createTurns();
  let allowed = false;
  return {
    stop,
    inTurn: body =>
      inTurn(async world => {
        if (!allowed) await allowReplication(world);
        allowed = true;
        await begin(world);
        const failure: unknown = await body(world).catch(error => error);
        await dropReplication(world).catch(error => {
          throw failure ?? error;
        });
        if (failure !== undefined) throw failure;
      }),
  };
}

/** The statements of a line for the operator. */
export const statementsIn = (line: string): string[] =>
  line.match(/(?:ALTER SUBSCRIPTION|SELECT) [^;]*;/g) ?? [];
