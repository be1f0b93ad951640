/** What an expression of a migration can do, by PostgreSQL's parse tree. What is not listed here counts as dangerous. */
import type { DatabaseNames } from './names.ts';

// biome-ignore lint/suspicious/noExplicitAny: PostgreSQL's parse tree, of which a few fields are read
export type Node = any;

const setOf = (words: string): Set<string> => new Set(words.split(/\s+/));

/** Parts of a query that only compute. Not INSERT, UPDATE, DELETE and MERGE inside of WITH, SELECT INTO, FOR UPDATE. */
const COMPUTING = setOf(
  'A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star Alias BoolExpr Boolean BooleanTest CaseExpr CaseWhen ' +
    'CoalesceExpr CollateClause ColumnRef CommonTableExpr Float FuncCall GroupingSet IndexElem Integer JoinExpr List MinMaxExpr ' +
    'MultiAssignRef NullTest RangeFunction RangeSubselect RangeVar ResTarget RowExpr SelectStmt SetToDefault SortBy ' +
    'SQLValueFunction String SubLink TypeCast TypeName WindowDef',
);
/** Functions of PostgreSQL that change nothing. */
const PURE = setOf(
  'abs array_agg array_length avg btrim cardinality ceil char_length clock_timestamp coalesce concat concat_ws count ' +
    'date_part date_trunc extract floor format gen_random_uuid generate_series greatest json_build_object ' +
    'jsonb_array_elements jsonb_build_array jsonb_build_object jsonb_set left length lower lpad ltrim make_interval max md5 min now ' +
    'nullif pg_sleep position random regexp_replace repeat replace right round row_number rpad rtrim split_part ' +
    'string_agg string_to_array strpos substr substring sum timezone to_char to_json to_jsonb to_timestamp ' +
    'transaction_timestamp trim trunc unnest upper',
);
const OPERATORS = setOf(
  '= <> != < > <= >= + - * / % || ~ ~* !~ !~* ~~ ~~* !~~ !~~* -> ->> #> #>> @> <@ ? & | BETWEEN',
);

/** Parts of an expression that can't fail for any row. */
const UNFAILING = setOf(
  'A_ArrayExpr A_Const A_Expr BoolExpr BooleanTest CoalesceExpr ColumnRef FuncCall Integer List NullTest SQLValueFunction ' +
    'String TypeCast TypeName',
);
const UNFAILING_FUNCTIONS = setOf('clock_timestamp gen_random_uuid lower now transaction_timestamp upper');
/** Those whose value differs from row to row: a new column with such a default is written into every row. */
export const VOLATILE = setOf('clock_timestamp gen_random_uuid random');
const COMPARING = setOf('= <> != < > <= >=');

/** Calls `visit` for each node of a tree, with its kind. */
export function walk(node: Node, visit: (kind: string, node: Node) => void): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [key, value] of Object.entries<Node>(node)) {
    if (/^[A-Z]/.test(key)) visit(key, value);
    else if (key === 'intoClause') visit(key, value);
    walk(value, visit);
  }
}

/** @returns the strings of a list of names: `a.b` is ['a', 'b'] */
export const namesIn = (list: Node[] = []): string[] =>
  list.map(each => each.String?.sval ?? (each.A_Star ? '*' : ''));

const isBuiltIn = (call: Node, allowed: Set<string>, names: DatabaseNames): boolean => {
  const [name = '', schema = 'pg_catalog', ...rest] = namesIn(call.funcname).reverse();
  if (rest.length > 0 || schema !== 'pg_catalog' || !allowed.has(name)) return false;
  return call.funcname.length === 2 || !names.functions.has(name);
};

/** @returns whether nothing changes when a query or an expression is computed */
export function isPure(node: Node, names: DatabaseNames): boolean {
  let pure = true;
  walk(node, (kind, each) => {
    pure &&=
      COMPUTING.has(kind) &&
      (kind !== 'FuncCall' || isBuiltIn(each, PURE, names)) &&
      (kind !== 'A_Expr' || OPERATORS.has(namesIn(each.name).join('.'))) &&
      (kind !== 'RangeVar' || !names.views.has(each.relname));
  });
  return pure;
}

/** @returns whether an expression has a value for every row, whatever is in it */
export function isUnfailing(node: Node, names: DatabaseNames): boolean {
  let safe = true;
  walk(node, (kind, each) => {
    safe &&=
      UNFAILING.has(kind) &&
      (kind !== 'FuncCall' || isBuiltIn(each, UNFAILING_FUNCTIONS, names)) &&
      (kind !== 'A_Expr' || COMPARING.has(namesIn(each.name).join('.'))) &&
      (kind !== 'TypeCast' || isConstant(each, names));
  });
  return safe;
}

/** `'a'::text`, `ARRAY[]::text[]`: if it could fail, the migration would. */
function isConstant({ arg, typeName }: Node, { domains }: DatabaseNames): boolean {
  return (arg.A_Const || (arg.A_ArrayExpr && !arg.A_ArrayExpr.elements)) && !isDomain(typeName, domains);
}

/** @returns whether a type is one of `domains`, or an array of it */
export const isDomain = (typeName: Node, domains: Set<string>): boolean =>
  domains.has(namesIn(typeName?.names).at(-1) ?? '');

/** @returns the columns that an expression reads; `*` for a whole row */
export function columnsIn(node: Node): string[] {
  const columns: string[] = [];
  walk(node, (kind, each) => {
    if (kind === 'ColumnRef') columns.push(namesIn(each.fields).at(-1)!);
    if (kind === 'IndexElem' && each.name) columns.push(each.name);
  });
  return columns;
}
