/** What the migrations of one deployment have made so far. */
import {
  columnsIn,
  isDomain,
  isPure,
  isUnfailing,
  type Node,
  namesIn,
  VOLATILE,
  walk,
} from './expressions.ts';
import type { DatabaseNames } from './names.ts';
import { blocks, contracts, type Fault } from './risk.ts';

interface Column {
  notNull: boolean;
  /** An insert that does not name it puts something else than NULL there. */
  filled: boolean;
}

export interface Table {
  /** Else it was there before, and only these columns are new. */
  isNew: boolean;
  columns: Map<string, Column>;
  /** Columns whose values something checks or computes with: it may refuse what a foreign key does to them. `*`: any. */
  watched: Set<string>;
  /** Foreign keys that change rows of this table when the previous release deletes or updates rows of another. */
  keys: { columns: string[]; setNull: boolean }[];
  /** Writing a row may do more than that: a trigger, a function in a default. */
  acts: boolean;
  triggered: boolean;
}

export interface Made {
  tables: Map<string, Table>;
  /** Views, indexes, sequences and types. */
  others: Set<string>;
}

export const newMade = (): Made => ({ tables: new Map(), others: new Set() });
export const newTable = (isNew: boolean): Table => ({
  isNew,
  columns: new Map(),
  watched: new Set(),
  keys: [],
  acts: false,
  triggered: false,
});

/** A name as it is written: `t` and `public.t` may be two tables. */
export const keyOf = ({ schemaname, relname }: Node): string => JSON.stringify([schemaname ?? '', relname]);
/** The same of a list of names. */
export const keyOfNames = (names: string[]): string => {
  const [relname, schemaname] = names.toReversed();
  return keyOf({ schemaname, relname });
};

const CASCADE = 'c';
const SET_NULL = 'n';
const REFUSING =
  'adds a foreign key that can refuse what the previous release deletes or updates: ' +
  'harmless are ON DELETE CASCADE (new table) or SET NULL, with ON UPDATE CASCADE';

/** What is wrong with a column that a table gets; records it. @param sure whether it is really this statement that makes it */
export function addColumn(table: Table, def: Node, names: DatabaseNames, sure = true): Fault[] {
  const constraints: Node[] = (def.constraints ?? []).map(({ Constraint }: Node) => Constraint);
  const of = (type: string) => constraints.find(({ contype }) => contype === `CONSTR_${type}`);
  const serial = /^(small|big)?serial[248]?$/.test(namesIn(def.typeName?.names).at(-1) ?? '');
  const generated = of('GENERATED');
  const value = of('DEFAULT')?.raw_expr;
  const own = Boolean(of('IDENTITY')) || serial;
  const filled = own || Boolean(generated) || value !== undefined;
  const notNull = Boolean(of('NOTNULL') || of('PRIMARY')) || own;
  if (sure) table.columns.set(def.colname, { notNull, filled });
  const faults = constraints.flatMap(each => addConstraint(table, each, names, [def.colname], sure));
  if (isDomain(def.typeName, names.domains)) table.watched.add(def.colname);
  if (![value, generated?.raw_expr].every(each => isPure(each, names))) table.acts = true;
  if (table.isNew) return faults;
  if (notNull && !filled) faults.push(contracts('adds a required column without a default'));
  if (serial)
    faults.push(
      contracts(
        'adds a serial column, whose sequence inserts need a right on: GENERATED … AS IDENTITY needs none',
      ),
    );
  if (isDomain(def.typeName, names.domains))
    faults.push(contracts('adds a column of a domain, which may refuse inserts that do not name it'));
  for (const each of [generated?.raw_expr, value])
    if (!isUnfailing(each, names))
      faults.push(contracts('adds a column whose computed value may make inserts fail'));
  let rewrites = own || generated !== undefined;
  walk(value, (kind, call) => {
    rewrites ||= kind === 'FuncCall' && VOLATILE.has(namesIn(call.funcname).at(-1)!);
  });
  if (rewrites) faults.push(blocks('writes every row of the table'));
  return faults;
}

const OF_COLUMN = 'NULL NOTNULL DEFAULT IDENTITY GENERATED'.split(' ').map(name => `CONSTR_${name}`);

/** What is wrong with a constraint; records it. @param columns those of a column's own constraint */
export function addConstraint(
  table: Table,
  node: Node,
  names: DatabaseNames,
  columns: string[] = [],
  sure = true,
): Fault[] {
  const type: string = node.contype;
  if (type === 'CONSTR_FOREIGN') return addKey(table, node, columns, sure);
  if (type === 'CONSTR_GENERATED') watch(table, columnsIn(node.raw_expr), columns);
  if (OF_COLUMN.includes(type)) return [];
  const keys = node.keys ? namesIn(node.keys) : columns;
  if (table.isNew) {
    if (type === 'CONSTR_PRIMARY') for (const key of keys) requireValue(table, key);
    if (type === 'CONSTR_CHECK' || type === 'CONSTR_EXCLUSION') watch(table, columnsIn(node));
    if (type === 'CONSTR_UNIQUE' && node.nulls_not_distinct) watch(table, keys);
    if (!isPure(node.raw_expr, names)) {
      table.acts = true;
      watch(table, ['*']);
    }
    return /^CONSTR_(PRIMARY|CHECK|EXCLUSION|UNIQUE)$/.test(type) && !node.indexname
      ? []
      : [contracts('adds a constraint that is not known to be harmless')];
  }
  // Of a column that is added here: NULL in each old row and in each of the previous release's.
  const column = table.columns.get(keys[0] ?? '');
  const free = keys.length === 1 && column !== undefined && !column.filled && !column.notNull;
  if (columns.length > 0 && type === 'CONSTR_UNIQUE' && free && !node.nulls_not_distinct)
    return [blocks('builds an index while the table is locked')];
  const waits = node.skip_validation ? [] : [blocks('checks every row for a constraint')];
  return [contracts('adds a constraint that the previous release’s rows may not keep'), ...waits];
}

function addKey(table: Table, node: Node, own: string[], sure: boolean): Fault[] {
  const columns = node.fk_attrs ? namesIn(node.fk_attrs) : own;
  const setNull = node.fk_del_action === SET_NULL && !node.fk_del_set_cols;
  const deletes = setNull || (table.isNew && node.fk_del_action === CASCADE);
  const updates = node.fk_upd_action === CASCADE || (setNull && node.fk_upd_action === SET_NULL);
  const free = (name: string) => {
    const column = table.columns.get(name);
    return column !== undefined && !column.notNull && !column.filled;
  };
  if (node.fk_matchtype !== 's' || !deletes || !updates) return [contracts(REFUSING)];
  if (!table.isNew && !(sure && columns.every(free)))
    return [contracts('adds a foreign key to columns that the previous release writes')];
  table.keys.push({ columns, setNull });
  const waits = table.isNew || own.length > 0 || node.skip_validation;
  return waits ? [] : [blocks('checks every row for a constraint')];
}

export function watch(table: Table, ...columns: string[][]): void {
  for (const column of columns.flat()) table.watched.add(column);
}

export function requireValue(table: Table, name: string): void {
  const column = table.columns.get(name);
  if (column) column.notNull = true;
  else watch(table, [name]);
}

/** @returns what makes a delete or an update of the previous release fail through a foreign key of this table */
export function clashes({ columns, watched, keys, triggered }: Table): Fault[] {
  const clash = keys.some(
    key =>
      triggered ||
      watched.has('*') ||
      key.columns.some(name => watched.has(name) || (key.setNull && columns.get(name)?.notNull)),
  );
  return clash ? [contracts(`${REFUSING}, of columns that nothing else checks`)] : [];
}
