/** CREATE: harmless is what is new by its name, too, so that it hides nothing. */
import { isPure, isUnfailing, type Node } from './expressions.ts';
import type { DatabaseNames } from './names.ts';
import { blocks, contracts, type Fault } from './risk.ts';
import { addColumn, addConstraint, keyOf, type Made, newTable, watch } from './tables.ts';

export type Judge = (node: Node, made: Made, names: DatabaseNames) => Fault[];

export const HIDES = 'has the name of something that exists, which it may replace or hide';
export const SIDE_EFFECTS = 'computes with a function or a view that is not known to change nothing';
const METHODS = new Set([undefined, 'btree', 'hash', 'gin', 'brin']);

/** Whether a name is of something that is there, is PostgreSQL’s own, or is of this session only. */
function isTaken(relation: Node, names: DatabaseNames): boolean {
  const { schemaname = '', relname, relpersistence = 'p' } = relation;
  const reserved = /^(pg_|information_schema$)/;
  const taken = names.relations.has(relname) || names.types.has(relname);
  return relpersistence === 't' || reserved.test(schemaname) || reserved.test(relname) || taken;
}

export const judgeCreateTable: Judge = (node, made, names) => {
  const { relation, tableElts = [], inhRelations, ofTypename, if_not_exists: maybe, partspec } = node;
  if (isTaken(relation, names)) return [contracts(HIDES)];
  if (inhRelations || ofTypename)
    return [contracts('adds rows to a table that exists, by inheritance or a partition')];
  const table = newTable(true);
  if (partspec) watch(table, ['*']);
  const faults: Fault[] = tableElts.flatMap((element: Node) =>
    element.ColumnDef
      ? addColumn(table, element.ColumnDef, names)
      : element.Constraint
        ? []
        : [contracts('makes a table like another')],
  );
  for (const { Constraint } of tableElts)
    if (Constraint) faults.push(...addConstraint(table, Constraint, names));
  made.tables.set(maybe ? `unsure ${made.tables.size}` : keyOf(relation), table);
  return faults;
};

export const judgeCreateTableAs: Judge = ({ query, into, if_not_exists: maybe, objtype }, made, names) => {
  if (isTaken(into.rel, names)) return [contracts(HIDES)];
  if (!query.SelectStmt || !isPure(query, names)) return [contracts(SIDE_EFFECTS)];
  if (!maybe && objtype === 'OBJECT_TABLE') made.tables.set(keyOf(into.rel), newTable(true));
  return [];
};

export const judgeIndex: Judge = (node, made, names) => {
  const table = made.tables.get(keyOf(node.relation));
  const isNew = table?.isNew === true;
  const parts = [...node.indexParams, ...(node.indexIncludingParams ?? [])].map(
    ({ IndexElem }: Node) => IndexElem,
  );
  const faults: Fault[] = [];
  if (node.idxname && isTaken({ ...node.relation, relname: node.idxname }, names))
    faults.push(contracts(HIDES));
  const computed = [node.whereClause, ...parts.map(({ expr }) => expr)];
  if (!computed.every(each => isUnfailing(each, names)))
    faults.push(contracts('builds an index on something computed, which may make inserts fail'));
  if (!METHODS.has(node.accessMethod))
    faults.push(contracts('builds an index of a kind that is not known to be harmless'));
  if (node.unique && !isNew) faults.push(contracts('adds a unique index'));
  if (node.unique && node.nulls_not_distinct && isNew) watch(table, ['*']);
  if (!isNew && !node.concurrent) faults.push(blocks('builds an index without CONCURRENTLY'));
  const { schemaname } = node.relation;
  if (node.idxname) made.others.add(`OBJECT_INDEX ${keyOf({ schemaname, relname: node.idxname })}`);
  return faults;
};

/** CREATE of something else, whose kind is one of DROP’s. */
export const makes =
  (
    kind: string,
    nameOf: (node: Node) => string[],
    also: (name: string, names: DatabaseNames) => void = () => {},
  ): Judge =>
  (node, made, names) => {
    const [relname, schemaname] = nameOf(node).toReversed();
    if (isTaken({ relname, schemaname }, names)) return [contracts(HIDES)];
    made.others.add(`${kind} ${keyOf({ relname, schemaname })}`);
    also(relname!, names);
    return [];
  };
