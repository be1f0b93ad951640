import type { Postgres } from '../config/config.ts';
import { stamp } from '../core/format.ts';
import { identifier, literal, runSql } from './client.ts';
import type { Loader } from './loader.ts';
import { query } from './query.ts';

/** @returns the database to connect to for statements about other databases and roles */
export function maintenanceOf(postgres: Postgres): string {
  return postgres.maintenance ?? 'postgres';
}

/** Options of CREATE DATABASE. */
export interface Encoding {
  encoding: string;
  collate: string;
  ctype: string;
  /** Null: not known. */
  provider: 'libc' | 'icu' | 'builtin' | null;
  /** Of the providers icu and builtin. */
  locale: string | null;
  /** Tailoring rules of ICU. */
  icuRules: string | null;
}

interface Definition extends Encoding {
  oid: number;
  owner: string;
  /** Null: the default. Only a superuser may name it. */
  tablespace: string | null;
}

/**
 * The columns of {@link Encoding} of a row `d` of pg_database. The locale has another name in 15 and 16 than since 17;
 * rules exist since 16.
 */
export const ENCODING = `pg_encoding_to_char(d.encoding) AS encoding, datcollate AS collate, datctype AS ctype,
  CASE to_jsonb(d) ->> 'datlocprovider' WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' END AS provider,
  coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale') AS locale,
  to_jsonb(d) ->> 'daticurules' AS "icuRules"`;

/** The purpose of a sibling of `<database>` that a restore or drill makes, as in its name. */
export type SiblingKind = 'new' | 'before' | 'drill';

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

/** @returns the siblings of that kind of the live database, newest first */
export async function siblingDatabases(postgres: Postgres, kind: SiblingKind): Promise<string[]> {
  const sql = siblingsSql(postgres.database, kind);
  const rows = await query<{ name: string }>(postgres, maintenanceOf(postgres), sql);
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
    maintenanceOf(postgres),
    `SELECT d.oid::int8 AS oid, pg_get_userbyid(datdba) AS owner, nullif(spcname, 'pg_default') AS tablespace,
       ${ENCODING}
     FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = ${literal(database)}`,
  );
  return row;
}

/** @returns the number of a database, which a rename does not change; undefined if it does not exist */
export async function oidOf(postgres: Postgres, database: string): Promise<number | undefined> {
  return (await definitionOf(postgres, database))?.oid;
}

/** @returns the present name of the database with this number; undefined if it does not exist */
export async function databaseOf(postgres: Postgres, oid: number): Promise<string | undefined> {
  const sql = `SELECT datname AS name FROM pg_database WHERE oid = ${oid}`;
  return (await query<{ name: string }>(postgres, maintenanceOf(postgres), sql))[0]?.name;
}

/** @returns bytes on disk; 0 if it does not exist */
export async function sizeOfDatabase(postgres: Postgres, database: string): Promise<number> {
  const sql = `SELECT pg_database_size(oid) AS bytes FROM pg_database WHERE datname = ${literal(database)}`;
  return (await query<{ bytes: number }>(postgres, maintenanceOf(postgres), sql))[0]?.bytes ?? 0;
}

/**
 * Creates an empty database with owner, encoding, locale and tablespace of the live one.
 * @param otherwise its encoding, locale and owner if there is no live one
 * @param holder owns it until the load is over; with `create`, a role that is created with it
 * @returns its owner, or who is to become it
 * @throws CommandError
 */
export async function createLike(
  postgres: Postgres,
  name: string,
  otherwise?: Encoding & { owner?: string },
  holder?: Pick<Loader, 'name'> & Partial<Pick<Loader, 'create'>>,
): Promise<string> {
  const model = await definitionOf(postgres, postgres.database);
  const encoding = model ?? otherwise;
  const words = [`CREATE DATABASE ${identifier(name)} TEMPLATE template0`];
  if (encoding) words.push(...encodingOptions(encoding));
  const owner = model?.owner ?? otherwise?.owner ?? postgres.user;
  words.push(`OWNER ${identifier(holder?.name ?? owner)}`);
  if (model?.tablespace) words.push(`TABLESPACE ${identifier(model.tablespace)}`);
  const locale = 'install the locale that the message names on this server, which the backed-up server has.';
  await runSql(
    postgres,
    maintenanceOf(postgres),
    [...(holder?.create ? [holder.create] : []), words.join(' ')],
    {
      purpose: `create database ${name}`,
      timeout: 600,
      hints: { 42809: locale, 22023: locale },
    },
  );
  return owner;
}

/** Always with the provider: else it is template0's. */
function encodingOptions({ encoding, collate, ctype, provider, locale, icuRules }: Encoding): string[] {
  return [
    `ENCODING ${literal(encoding)} LC_COLLATE ${literal(collate)} LC_CTYPE ${literal(ctype)}`,
    ...(provider === null ? [] : [`LOCALE_PROVIDER ${provider}`]),
    ...(provider === 'icu' && locale !== null ? [`ICU_LOCALE ${literal(locale)}`] : []),
    ...(provider === 'icu' && icuRules !== null ? [`ICU_RULES ${literal(icuRules)}`] : []),
    ...(provider === 'builtin' && locale !== null ? [`BUILTIN_LOCALE ${literal(locale)}`] : []),
  ];
}
