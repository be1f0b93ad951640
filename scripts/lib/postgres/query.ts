/** Reads of a database: one SELECT, or several that share a psql. */
import type { Postgres } from '../config/config.ts';
import { asJson, runSql, type SqlOptions } from './client.ts';
import { readInSession } from './read-session.ts';

/** SELECTs that are asked for in this moment, and their rows to come: by server, database and options. */
const together = new Map<string, { selects: string[]; answers: Promise<unknown[][]> }>();

/**
 * Runs one SELECT. Those of one database that are asked for at once, as in a Promise.all, share one psql, whose start takes
 * longer than most answers, and one snapshot; where one of them fails, all fail. Those of the maintenance database share
 * one session of the whole run.
 *
 * @returns its rows
 * @throws CommandError; OperationalError after `timeout` seconds
 */
export async function query<Row>(
  postgres: Postgres,
  database: string,
  sql: string,
  options: QueryOptions = {},
): Promise<Row[]> {
  const key = JSON.stringify([postgres, database, options]);
  let asked = together.get(key);
  if (!asked) {
    const selects: string[] = [];
    const answers = Promise.resolve().then(() => {
      together.delete(key);
      return answersOf(postgres, database, selects, options);
    });
    asked = { selects, answers };
    together.set(key, asked);
  }
  const index = asked.selects.push(sql) - 1;
  return (await asked.answers)[index] as Row[];
}

/** @returns the rows of each SELECT */
async function answersOf(
  postgres: Postgres,
  database: string,
  selects: string[],
  options: QueryOptions,
): Promise<unknown[][]> {
  const all = { purpose: `query ${database}`, timeout: 60, ...options };
  const sql = `SELECT pg_catalog.json_build_array(${selects.map(each => `(${asJson(each)})`).join(', ')})`;
  const isShared = database === (postgres.maintenance ?? 'postgres') && !all.inherit && !all.evenInterrupted;
  const text =
    (isShared ? await readInSession(postgres, database, sql, all) : undefined) ??
    (await runSql(postgres, database, sql, { ...all, onlyReads: true }));
  return JSON.parse(text) as unknown[][];
}

export type Query = <Row>(sql: string) => Promise<Row[]>;

/** @returns {@link query} bound to one database */
export function queryOf(postgres: Postgres, database: string, options?: QueryOptions): Query {
  return <Row>(sql: string) => query<Row>(postgres, database, sql, options);
}

/** `timeout` in seconds; default: 60. */
type QueryOptions = Partial<Pick<SqlOptions, 'purpose' | 'timeout' | 'evenInterrupted' | 'inherit'>>;
