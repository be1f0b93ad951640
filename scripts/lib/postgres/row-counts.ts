import { count } from '../core/format.ts';
import { identifier, literal } from './client.ts';
import type { Query } from './query.ts';
import type { Statements } from './session.ts';
import { OWN_NAMES } from './settings.ts';

interface TableCount {
  schema: string;
  name: string;
  rows: number;
}

/*
 * Ordinary tables, with partitions and unlogged tables. Without partitioned parents (their rows are in the
 * partitions), tables of extensions (pg_dump does not dump their rows) and foreign tables.
 */
const TABLES = `
  SELECT n.nspname AS schema, c.relname AS name, c.oid::int8 AS oid, c.reltuples
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY n.nspname, c.relname`;

const TABLES_PER_STATEMENT = 100;

interface Table {
  schema: string;
  name: string;
}

/** @returns one row per table: its name and the values of `expressions` */
async function fromEachTable<Row extends { schema: string; name: string }>(
  query: Query,
  tables: Table[],
  expressions: string,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let first = 0; first < tables.length; first += TABLES_PER_STATEMENT) {
    const selects = tables.slice(first, first + TABLES_PER_STATEMENT).map(
      ({ schema, name }) =>
        `SELECT ${literal(schema)} AS schema, ${literal(name)} AS name, ${expressions}
           FROM ONLY ${identifier(schema)}.${identifier(name)} AS t`,
    );
    rows.push(...(await query<Row>(selects.join(' UNION ALL '))));
  }
  return rows;
}

/**
 * Estimates the number of rows in all tables in no time: the last VACUUM's or ANALYZE's, and of tables that had none, as many
 * as they can have.
 */
export async function estimateRows(query: Query): Promise<number> {
  const [row] = await query<{ rows: number }>(
    `SELECT coalesce(sum(CASE WHEN reltuples < 0 THEN pg_relation_size(oid::oid) / 32 ELSE reltuples END), 0) AS rows
     FROM (${TABLES}) AS t`,
  );
  return row!.rows;
}

/**
 * Counts the rows of every table exactly, which takes minutes on a large database. The planner may run the functions of
 * an index, which can need the `search_path` of the role or the database.
 */
export async function countRows({ query, execute }: Statements): Promise<TableCount[]> {
  const tables = await query<Table>(TABLES);
  await execute('RESET search_path');
  const counts = await fromEachTable<TableCount>(query, tables, 'pg_catalog.count(*) AS rows');
  await execute(`SET ${OWN_NAMES}`);
  return counts;
}

const FINGERPRINT =
  'count(*) AS rows, coalesce(sum(hashtextextended(ROW(t.*)::text, 0)::numeric), 0)::text AS hash';

/** The same as {@link fingerprint} for one relation. @param from as in a FROM clause */
export async function fingerprintOf(query: Query, from: string): Promise<{ rows: number; hash: string }> {
  const [row] = await query<{ rows: number; hash: string }>(`SELECT ${FINGERPRINT} FROM ${from} AS t`);
  return row!;
}

/** Counts the rows of every table and hashes their content; the order of rows does not matter. */
export async function fingerprint(query: Query): Promise<(TableCount & { hash: string })[]> {
  return fromEachTable(query, await query<Table>(TABLES), FINGERPRINT);
}

/** @returns a message for each table that is missing, unexpected or has another number of rows */
export function compareRows(expected: TableCount[], actual: TableCount[]): string[] {
  const key = ({ schema, name }: TableCount) => `${schema}.${name}`;
  const found = new Map(actual.map(table => [key(table), table.rows]));
  const known = new Set(expected.map(key));
  return [
    ...expected.flatMap(table => {
      const rows = found.get(key(table));
      if (rows === undefined) return [`table ${key(table)} is missing`];
      return rows === table.rows
        ? []
        : [`table ${key(table)} has ${count(rows)} rows, not ${count(table.rows)}`];
    }),
    ...actual
      .filter(table => !known.has(key(table)))
      .map(table => `table ${key(table)} is not in the backup`),
  ];
}

/** @returns the number of rows in all tables */
export function totalRows(tables: TableCount[]): number {
  return tables.reduce((sum, { rows }) => sum + rows, 0);
}
