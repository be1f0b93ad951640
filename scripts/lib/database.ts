import type { Postgres } from './config.ts';
import { OperationalError } from './errors.ts';
import { uninterrupted } from './interrupt.ts';
import { execute, identifier, literal, query } from './postgres.ts';
import { openSession } from './session.ts';
import { CommandError } from './shell.ts';
import { stamp } from './text.ts';

/** The database in which statements about other databases run. */
const MAINTENANCE = 'postgres';

/** What is given to CREATE DATABASE. */
export interface Encoding {
  encoding: string;
  collate: string;
  ctype: string;
  /** Null: the operating system's locales are used. */
  icuLocale: string | null;
}

interface Place extends Encoding {
  oid: number;
  owner: string;
  /** Null: the default, which only a superuser may name. */
  tablespace: string | null;
}

/** The ICU locale in a row of pg_database, whose column has had two names since 15. */
export const ICU_LOCALE = `CASE to_jsonb(d) ->> 'datlocprovider'
  WHEN 'i' THEN coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale') END AS "icuLocale"`;

/** The suffixes of databases that a restore makes beside `<database>`. */
type Role = 'new' | 'before' | 'drill';

/**
 * @param taken the databases of that role, as {@link besides} finds them
 * @returns a free name for a database beside the live one: `app_before_20260131_020007`
 */
export function besideName(database: string, role: Role, taken: string[]): string {
  for (let time = Date.now(); ; time += 1000) {
    const name = `${database}_${role}_${stamp(new Date(time))}`;
    if (!taken.includes(name)) return name;
  }
}

/** @returns the databases of that role beside this one, newest first */
export async function besides(postgres: Postgres, database: string, role: Role): Promise<string[]> {
  const rows = await query<{ name: string }>(postgres, MAINTENANCE, besidesSql(database, role));
  return rows.map(({ name }) => name);
}

/** @returns the query behind {@link besides}, for one that asks more */
export function besidesSql(database: string, role: Role): string {
  return `SELECT datname AS name FROM pg_database
     WHERE starts_with(datname, ${literal(`${database}_${role}_`)})
       AND substr(datname, ${[...database].length + role.length + 3}) ~ '^\\d{8}_\\d{6}$'
     ORDER BY datname DESC`;
}

/** @returns how and where a database is kept, or undefined if there is none of that name */
async function placeOf(postgres: Postgres, database: string): Promise<Place | undefined> {
  const [row] = await query<Place>(
    postgres,
    MAINTENANCE,
    `SELECT d.oid::int8 AS oid, pg_get_userbyid(datdba) AS owner, nullif(spcname, 'pg_default') AS tablespace,
       pg_encoding_to_char(encoding) AS encoding, datcollate AS collate, datctype AS ctype, ${ICU_LOCALE}
     FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = ${literal(database)}`,
  );
  return row;
}

/** @returns the number that stays with a database whatever its name, or undefined if there is none */
export async function oidOf(postgres: Postgres, database: string): Promise<number | undefined> {
  return (await placeOf(postgres, database))?.oid;
}

/** @returns bytes on disk */
export async function sizeOfDatabase(postgres: Postgres, database: string): Promise<number> {
  const sql = `SELECT pg_database_size(oid) AS bytes FROM pg_database WHERE datname = ${literal(database)}`;
  return (await query<{ bytes: number }>(postgres, MAINTENANCE, sql))[0]?.bytes ?? 0;
}

/**
 * Creates an empty database.
 * @param like the database whose owner, encoding, locale and tablespace it gets
 * @param otherwise what it gets where that one does not exist
 */
export async function createLike(
  postgres: Postgres,
  name: string,
  like: string,
  otherwise?: Encoding,
): Promise<void> {
  const model = await placeOf(postgres, like);
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
  await execute(postgres, MAINTENANCE, words.join(' '), {
    purpose: `create database ${name}`,
    hint: 'the user of POSTGRES_USER needs CREATEDB, and this server the same locales as the one backed up.',
  });
}

/** Drops a database and ends its sessions; one that does not exist counts as dropped. */
export async function drop(postgres: Postgres, name: string): Promise<void> {
  await execute(postgres, MAINTENANCE, `DROP DATABASE IF EXISTS ${identifier(name)} WITH (FORCE)`, {
    purpose: `drop database ${name}`,
    evenInterrupted: true,
  });
}

const SWAP_ATTEMPTS = 10;

/**
 * Puts database `next` in the place of `live`, which becomes `kept`. Both renames are one transaction: a kill
 * at any moment leaves either the old state or the new one. The first rename holds off new sessions and waits
 * up to 5 s for the others to leave; meanwhile a second session ends them.
 *
 * @param kept undefined when there is no live database
 */
export async function swap(
  postgres: Postgres,
  live: string,
  next: string,
  kept: string | undefined,
): Promise<void> {
  const rename = (from: string, to: string) =>
    `ALTER DATABASE ${identifier(from)} RENAME TO ${identifier(to)}`;
  const renames = [...(kept ? [rename(live, kept)] : []), rename(next, live)];
  await uninterrupted(async () => {
    for (let attempt = 1; ; attempt++) {
      try {
        await whileEndingSessions(postgres, [live, next], () =>
          execute(postgres, MAINTENANCE, `BEGIN; ${renames.join('; ')}; COMMIT`, {
            purpose: `put ${next} in the place of ${live}`,
            hint: 'the live database is as it was. See who holds it: SELECT * FROM pg_stat_activity.',
            timeout: 60,
            evenInterrupted: true,
          }),
        );
        return;
      } catch (error) {
        const busy = error instanceof CommandError && /being accessed by other users/.test(error.stderr);
        if (!busy || attempt === SWAP_ATTEMPTS) throw error;
        await refusePreparedTransactions(postgres, live); // nobody can end one but its owner
      }
    }
  });
}

/*
 * One session that this user may not end, such as autovacuum's, must not save the others: asking for it fails
 * the whole statement. The rename itself ends autovacuum's.
 */
const MAY_BE_ENDED = `(pg_has_role(usesysid, 'MEMBER') OR (pg_has_role('pg_signal_backend', 'MEMBER')
  AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = usesysid)))`;

/** Ends the sessions of some databases as long as the work has one of them locked: before, clients would only come back. */
async function whileEndingSessions(
  postgres: Postgres,
  databases: string[],
  work: () => Promise<unknown>,
): Promise<void> {
  const names = databases.map(literal).join(', ');
  const session = openSession(postgres, MAINTENANCE);
  let over = false;
  const ending = (async () => {
    while (!over) {
      await session.execute(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname IN (${names}) AND pid <> pg_backend_pid() AND ${MAY_BE_ENDED}
          AND EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = objid WHERE d.datname IN (${names})
            AND classid = 'pg_database'::regclass AND mode = 'AccessExclusiveLock')`);
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  })();
  ending.catch(() => {}); // the renames say what is wrong
  try {
    await work();
  } finally {
    over = true;
    await ending.catch(() => {});
    await session.close();
  }
}

/** @throws where a prepared transaction would keep `live` from being renamed */
export async function refusePreparedTransactions(postgres: Postgres, live: string): Promise<void> {
  const sql = `SELECT gid FROM pg_prepared_xacts WHERE database = ${literal(live)}`;
  const prepared = await query<{ gid: string }>(postgres, MAINTENANCE, sql);
  if (prepared.length === 0) return;
  throw new OperationalError(
    `${live} has a prepared transaction (${prepared[0]!.gid}), so it can't be renamed`,
    'COMMIT PREPARED or ROLLBACK PREPARED it first.',
  );
}
