import { identifier, literal } from './client.ts';
import type { Query } from './query.ts';

/** A sequence, and the columns that take their values from it. */
export interface Sequence {
  schema: string;
  name: string;
  /** As {@link Definitions} names it. */
  identity: string;
  /** As text: it can be larger than a number holds exactly. */
  increment: string;
  cycle: boolean;
  columns: { schema: string; table: string; column: string; identity: string }[];
}

/* Columns of whole numbers that own a sequence or have no other default than its next value. */
const SEQUENCES = `
  SELECT n.nspname AS schema, c.relname AS name, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS identity,
    seqincrement::text AS increment, seqcycle AS cycle,
    (SELECT coalesce(json_agg(DISTINCT jsonb_build_object('schema', tn.nspname, 'table', t.relname, 'column', attname,
        'identity', concat_ws('.', quote_ident(tn.nspname), quote_ident(t.relname), quote_ident(attname)))), '[]')
      FROM (SELECT refobjid AS relation, refobjsubid AS number FROM pg_depend
          WHERE classid = 'pg_class'::regclass AND objid = c.oid AND refclassid = 'pg_class'::regclass
            AND refobjsubid > 0 AND deptype IN ('a', 'i')
        UNION SELECT adrelid, adnum FROM pg_depend JOIN pg_attrdef d ON d.oid = objid
          WHERE classid = 'pg_attrdef'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = c.oid
            AND pg_get_expr(adbin, adrelid) ~ '^nextval\\([^()]*\\)$') AS users
        JOIN pg_attribute a ON attrelid = relation AND attnum = number
        JOIN pg_class t ON t.oid = relation JOIN pg_namespace tn ON tn.oid = t.relnamespace
      WHERE t.relkind IN ('r', 'p') AND atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)) AS columns
  FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`;

const PER_STATEMENT = 100;

/** @returns for each item the text that its query finds */
async function ofEach<Item>(
  query: Query,
  items: Item[],
  select: (item: Item) => string,
): Promise<(string | null)[]> {
  const selects = items.map((item, index) => `SELECT ${index} AS index, (${select(item)})::text AS value`);
  const values = Array<string | null>(items.length);
  for (let first = 0; first < selects.length; first += PER_STATEMENT) {
    const sql = selects.slice(first, first + PER_STATEMENT).join(' UNION ALL ');
    for (const { index, value } of await query<{ index: number; value: string | null }>(sql))
      values[index] = value;
  }
  return values;
}

const ascends = ({ increment }: Sequence) => !increment.startsWith('-');
const name = (schema: string, relation: string) => `${identifier(schema)}.${identifier(relation)}`;

/** @returns the sequences that a dump holds, by name */
export function listSequences(query: Query): Promise<Sequence[]> {
  return query<Sequence>(SEQUENCES);
}

/**
 * Reads the last value that each sequence gave out; before its first use, that is its start less one step. A sequence
 * belongs to no snapshot: it has the value of now.
 * @returns the values in the order of `sequences`, as text, because they can be larger than a number holds exactly
 */
export async function lastValues(query: Query, sequences: Sequence[]): Promise<string[]> {
  const values = await ofEach(
    query,
    sequences,
    ({ schema, name: sequence, increment }) =>
      `SELECT CASE WHEN is_called THEN last_value ELSE last_value::numeric - ${increment} END
       FROM ${name(schema, sequence)}`,
  );
  return values as string[];
}

/**
 * Finds sequences that will give out values that a column has already passed: after a restore, an import or an
 * insert with values of its own. Reads the largest value of each column, from its index if it has one.
 *
 * @param values as {@link lastValues} returns them
 * @returns a sentence for each
 */
export async function sequencesBehind(
  query: Query,
  sequences: Sequence[],
  values: string[],
): Promise<string[]> {
  const pairs = sequences.flatMap((sequence, index) =>
    sequence.cycle ? [] : sequence.columns.map(column => ({ sequence, column, last: values[index]! })),
  );
  const reached = await ofEach(
    query,
    pairs,
    ({ sequence, column }) =>
      `SELECT ${ascends(sequence) ? 'max' : 'min'}(${identifier(column.column)})
       FROM ${name(column.schema, column.table)}`,
  );
  return pairs.flatMap(({ sequence, column, last }, index) => {
    const value = reached[index] ?? null;
    const ahead = value === null ? 0n : BigInt(value) - BigInt(last);
    if (ascends(sequence) ? ahead <= 0n : ahead >= 0n) return [];
    return [
      `sequence ${sequence.identity} is at ${last}, but column ${column.identity} at ${value}: the next values exist already. ` +
        `Run: SELECT setval(${literal(sequence.identity)}, ${value})`,
    ];
  });
}
