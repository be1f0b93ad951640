import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { stamp } from '../core/format.ts';
import { identifier, literal, query, runSql } from './client.ts';
import { dropSubscriptions } from './subscriptions.ts';

/** The database for statements about other databases. */
export const MAINTENANCE = 'postgres';

/** Options of CREATE DATABASE. */
export interface Encoding {
  encoding: string;
  collate: string;
  ctype: string;
  /** Null: the operating system's locales are used. */
  icuLocale: string | null;
}

interface Definition extends Encoding {
  oid: number;
  owner: string;
  /** Null: the default. Only a superuser may name it. */
  tablespace: string | null;
}

/** The ICU locale in a row of pg_database, whose column has another name in 15 and 16 than in 17. */
export const ICU_LOCALE = `CASE to_jsonb(d) ->> 'datlocprovider'
  WHEN 'i' THEN coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale') END AS "icuLocale"`;

/** The purpose of a sibling of `<database>` that a restore or drill makes, as in its name. */
type SiblingKind = 'new' | 'before' | 'drill';

/**
 * @param taken the siblings of that kind, as {@link siblingDatabases} finds them
 * @returns a free name for a sibling of the database: `app_before_20260131_020007`
 */
export function siblingName(database: string, kind: SiblingKind, taken: string[]): string {
  for (let time = Date.now(); ; time += 1000) {
    const name = `${database}_${kind}_${stamp(new Date(time))}`;
    if (!taken.includes(name)) return name;
  }
}

/** @returns the siblings of that kind, newest first */
export async function siblingDatabases(
  postgres: Postgres,
  database: string,
  kind: SiblingKind,
): Promise<string[]> {
  const rows = await query<{ name: string }>(postgres, MAINTENANCE, siblingsSql(database, kind));
  return rows.map(({ name }) => name);
}

/** @returns the query of {@link siblingDatabases}, for use in a larger one */
export function siblingsSql(database: string, kind: SiblingKind): string {
  return `SELECT datname AS name FROM pg_database
     WHERE starts_with(datname, ${literal(`${database}_${kind}_`)})
       AND substr(datname, ${[...database].length + kind.length + 3}) ~ '^\\d{8}_\\d{6}$'
     ORDER BY datname DESC`;
}

/** @returns owner, tablespace and encoding of a database, or undefined if it does not exist */
async function definitionOf(postgres: Postgres, database: string): Promise<Definition | undefined> {
  const [row] = await query<Definition>(
    postgres,
    MAINTENANCE,
    `SELECT d.oid::int8 AS oid, pg_get_userbyid(datdba) AS owner, nullif(spcname, 'pg_default') AS tablespace,
       pg_encoding_to_char(encoding) AS encoding, datcollate AS collate, datctype AS ctype, ${ICU_LOCALE}
     FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = ${literal(database)}`,
  );
  return row;
}

/** @returns the number of a database, which a rename does not change; undefined if it does not exist */
export async function oidOf(postgres: Postgres, database: string): Promise<number | undefined> {
  return (await definitionOf(postgres, database))?.oid;
}

/** @returns bytes on disk; 0 if it does not exist */
export async function sizeOfDatabase(postgres: Postgres, database: string): Promise<number> {
  const sql = `SELECT pg_database_size(oid) AS bytes FROM pg_database WHERE datname = ${literal(database)}`;
  return (await query<{ bytes: number }>(postgres, MAINTENANCE, sql))[0]?.bytes ?? 0;
}

/**
 * Creates an empty database.
 * @param like the database whose owner, encoding, locale and tablespace it gets
 * @param otherwise its encoding and locale if `like` does not exist
 * @throws CommandError
 */
export async function createLike(
  postgres: Postgres,
  name: string,
  like: string,
  otherwise?: Encoding,
): Promise<void> {
  const model = await definitionOf(postgres, like);
  const encoding = model ?? otherwise;
  const words = [`CREATE DATABASE ${identifier(name)} TEMPLATE template0`];
  if (encoding) {
    words.push(`ENCODING ${literal(encoding.encoding)}`);
    words.push(`LC_COLLATE ${literal(encoding.collate)} LC_CTYPE ${literal(encoding.ctype)}`);
    if (encoding.icuLocale !== null)
      words.push(`LOCALE_PROVIDER icu ICU_LOCALE ${literal(encoding.icuLocale)}`);
  }
  if (model) words.push(`OWNER ${identifier(model.owner)}`);
  if (model?.tablespace) words.push(`TABLESPACE ${identifier(model.tablespace)}`);
  await runSql(postgres, MAINTENANCE, words.join(' '), {
    purpose: `create database ${name}`,
    timeout: 600,
    hint: 'the user of POSTGRES_USER needs CREATEDB, and this server needs the locales of the backed-up server.',
  });
}

interface Obstacles {
  template: boolean;
  /** Processes that read a logical replication slot of it. */
  readers: { slot: string; pid: number; application: string }[];
  prepared: string[];
}

/**
 * Drops a database with its subscriptions, and ends its sessions; one that does not exist counts as dropped.
 *
 * @throws OperationalError with the reason and the statement: where a slot of it is read or a transaction is prepared, which
 *   an operator must decide about, or the server refuses it
 */
export async function drop(postgres: Postgres, name: string): Promise<void> {
  const [obstacles] = await query<Obstacles>(
    postgres,
    MAINTENANCE,
    `SELECT datistemplate AS template,
       ARRAY(SELECT gid FROM pg_prepared_xacts WHERE database = d.datname) AS prepared,
       (SELECT coalesce(json_agg(json_build_object('slot', slot_name, 'pid', active_pid, 'application', application_name)), '[]')
        FROM pg_replication_slots LEFT JOIN pg_stat_activity ON pid = active_pid
        WHERE database = d.datname AND active) AS readers
     FROM pg_database d WHERE datname = ${literal(name)}`,
    { evenInterrupted: true },
  );
  if (!obstacles) return;
  const { template, readers, prepared } = obstacles;
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
    await runSql(postgres, MAINTENANCE, unmark, { ...options, timeout: 60 });
  }
  await dropSubscriptions(postgres, name);
  await runSql(postgres, MAINTENANCE, statement, {
    ...options,
    timeout: 3600,
    hint: `see who uses it in pg_stat_activity, then: ${statement}`,
  });
}
