/** Schemas of `restore.ts --table` in the live database, marked until all of their rows are copied. */
import type { Postgres } from '../config/config.ts';
import { identifier, literal, runSql } from '../postgres/client.ts';
import { queryOf } from '../postgres/query.ts';

/** The comment of a schema whose tables are being copied, or whose copy was killed. */
const UNFINISHED = 'unfinished copy by restore.ts --table';

/** The query of the names of such schemas in a database. */
export const UNFINISHED_SCHEMAS = `SELECT nspname::text AS name FROM pg_namespace
  WHERE nspname ~ '^restored_\\d{8}_\\d{6}$' AND obj_description(oid, 'pg_namespace') = ${literal(UNFINISHED)}`;

/** Creates a schema in the live database, with the mark. @throws CommandError */
export async function createUnfinished(postgres: Postgres, schema: string): Promise<void> {
  const name = identifier(schema);
  const sql = `CREATE SCHEMA ${name}; COMMENT ON SCHEMA ${name} IS ${literal(UNFINISHED)}`;
  await runSql(postgres, postgres.database, sql, { purpose: `create schema ${schema}` });
}

/** Removes the mark. @throws CommandError */
export async function finishSchema(postgres: Postgres, schema: string): Promise<void> {
  const sql = `COMMENT ON SCHEMA ${identifier(schema)} IS NULL`;
  await runSql(postgres, postgres.database, sql, { purpose: `finish schema ${schema}` });
}

/**
 * Drops such a schema with its tables, also after a signal.
 * @throws CommandError where something else has come to be in it, or depends on it: that stays, and so does all of it
 */
export async function dropUnfinished(postgres: Postgres, schema: string): Promise<void> {
  const evenInterrupted = true;
  const tables = await queryOf(postgres, postgres.database, { evenInterrupted })<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace(${literal(identifier(schema))})`,
  );
  const names = tables.map(({ name }) => `${identifier(schema)}.${identifier(name)}`).join(', ');
  const sql = `${names && `DROP TABLE ${names}; `}DROP SCHEMA ${identifier(schema)}`;
  await runSql(postgres, postgres.database, sql, { purpose: `drop schema ${schema}`, evenInterrupted });
}
