/** Copies tables from one database of the server into a schema of another. */

import type { Postgres } from '../config/config.ts';
import { again } from '../core/command-line.ts';
import { OperationalError, verificationError } from '../core/errors.ts';
import { count } from '../core/format.ts';
import { log } from '../core/log.ts';
import { pipeline } from '../core/pipeline.ts';
import { run } from '../core/shell.ts';
import { identifier, literal, PSQL, producer, runSql, toDatabase } from '../postgres/client.ts';
import { queryOf } from '../postgres/query.ts';
import { fingerprintOf } from '../postgres/row-counts.ts';
import { quoted, type TableName } from './choose-tables.ts';
import { createUnfinished, dropUnfinished, finishSchema } from './unfinished-schema.ts';

/** A table as it is in the scratch database. */
interface Shape extends TableName {
  partitioned: boolean;
  columns: { name: string; type: string; required: boolean; generated: boolean; identity: boolean }[];
  /** As of a constraint: `PRIMARY KEY (id)`. */
  key: string | null;
}

export interface Copied extends TableName {
  rows: number;
  /** Brings rows back that the live table lacks. */
  insert: string;
}

/* Both sessions write and read values in one form. Text, because the binary form of arrays has numbers of types. */
const SAME_FORM =
  '-c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c row_security=off';

/**
 * Creates `schema` in the live database and copies tables of `scratch` into it: columns, primary key, and rows, with the
 * values of generated and identity columns as they were. After a failure the schema is dropped.
 *
 * @throws OperationalError where the live database lacks a type; exit code 3 where the copied rows differ
 */
export async function copyTables(
  postgres: Postgres,
  scratch: string,
  tables: TableName[],
  schema: string,
): Promise<Copied[]> {
  const shapes = await Promise.all(tables.map(table => shapeOf(postgres, scratch, table)));
  await refuseMissingTypes(postgres, shapes);
  await createUnfinished(postgres, schema);
  try {
    const copied: Copied[] = [];
    for (const shape of shapes) copied.push(await copyTable(postgres, scratch, shape, schema));
    await finishSchema(postgres, schema);
    return copied;
  } catch (error) {
    await dropUnfinished(postgres, schema);
    throw error;
  }
}

async function shapeOf(postgres: Postgres, scratch: string, table: TableName): Promise<Shape> {
  const [row] = await queryOf(
    postgres,
    scratch,
  )<Omit<Shape, keyof TableName>>(
    `SELECT relkind = 'p' AS partitioned,
       (SELECT coalesce(json_agg(json_build_object('name', attname, 'type', format_type(atttypid, atttypmod),
           'required', attnotnull, 'generated', attgenerated <> '', 'identity', attidentity <> '') ORDER BY attnum), '[]')
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
       (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'p') AS key
     FROM pg_class c WHERE relkind IN ('r', 'p') AND oid = to_regclass(${literal(quoted(table))})`,
  );
  if (row) return { schema: table.schema, name: table.name, ...row };
  throw verificationError(
    `the loaded backup has no table ${quoted(table)}`,
    'the live database is unchanged. Restore another backup: ./scripts/list-backups.ts shows them.',
  );
}

async function refuseMissingTypes(postgres: Postgres, shapes: Shape[]): Promise<void> {
  const types = [...new Set(shapes.flatMap(({ columns }) => columns.map(({ type }) => type)))];
  if (types.length === 0) return;
  const missing = await queryOf(
    postgres,
    postgres.database,
  )<{ type: string }>(
    `SELECT type FROM unnest(ARRAY[${types.map(literal).join(', ')}]) AS type WHERE to_regtype(type) IS NULL`,
  );
  if (missing.length === 0) return;
  throw new OperationalError(
    `${postgres.database} lacks types of these tables: ${missing.map(({ type }) => type).join(', ')}`,
    `the live database is unchanged. Create the types first, or restore the whole backup into another database: \`${again('restore.ts', [], ['--database', `${postgres.database}_copy`], '--table')}\`.`,
  );
}

async function copyTable(postgres: Postgres, scratch: string, shape: Shape, schema: string): Promise<Copied> {
  const live = postgres.database;
  const target = { schema, name: shape.name };
  const names = shape.columns.map(({ name }) => identifier(name)).join(', ');
  const columns = shape.columns.map(({ name, type, required }) =>
    [identifier(name), type, required ? 'NOT NULL' : ''].join(' ').trim(),
  );
  const label = `copy table ${quoted(shape)}`;
  await runSql(
    postgres,
    live,
    `CREATE TABLE ${quoted(target)} (${[...columns, ...(shape.key ? [shape.key] : [])].join(', ')})`,
    { purpose: label },
  );
  // A partitioned table has its rows in its partitions; a table that others inherit from has its own.
  const from = `${shape.partitioned ? '' : 'ONLY '}${quoted(shape)}`;
  const psql = (database: string, sql: string) => [
    ...PSQL,
    `--dbname=${toDatabase(database)}`,
    `--command=${sql}`,
  ];
  const list = names ? `(${names})` : '';
  const { argv, ...rest } = producer(
    postgres,
    pipeline(
      psql(scratch, `COPY (SELECT ${names} FROM ${from}) TO STDOUT`),
      psql(live, `COPY ${quoted(target)} ${list} FROM STDIN`),
    ),
    SAME_FORM,
  );
  await run(argv, { ...rest, purpose: label, timeout: Number.POSITIVE_INFINITY });
  const [before, after] = [
    await fingerprintOf(queryOf(postgres, scratch), from),
    await fingerprintOf(queryOf(postgres, live), quoted(target)),
  ];
  if (before.rows !== after.rows || before.hash !== after.hash)
    throw verificationError(
      `table ${quoted(shape)} has other rows after the copy: ${count(after.rows)}, not ${count(before.rows)}, or other values`,
      `the live database is unchanged. Restore the whole backup into another database: \`${again('restore.ts', [], ['--database', `${live}_copy`], '--table')}\`.`,
    );
  log.done(`copied ${quoted(shape)}: ${count(after.rows)} rows, compared`);
  return { schema: shape.schema, name: shape.name, rows: after.rows, insert: insertOf(shape, target) };
}

/** @returns a statement for an operator: a generated column can't be written, and an identity only on demand */
function insertOf(shape: Shape, target: TableName): string {
  const names = shape.columns.filter(({ generated }) => !generated).map(({ name }) => identifier(name));
  const overriding = shape.columns.some(({ identity }) => identity) ? ' OVERRIDING SYSTEM VALUE' : '';
  return `INSERT INTO ${quoted(shape)} (${names.join(', ')})${overriding} SELECT ${names.join(', ')} FROM ${quoted(target)} ON CONFLICT DO NOTHING`;
}
