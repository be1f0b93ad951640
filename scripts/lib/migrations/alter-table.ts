/** Which alterations of a table are harmless: those of this list, of which each has an example in the differential test. */
import { isDomain, isPure, type Node } from './expressions.ts';
import type { DatabaseNames } from './names.ts';
import { blocks, contracts, type Fault, words } from './risk.ts';
import {
  addColumn,
  addConstraint,
  keyOf,
  type Made,
  newTable,
  requireValue,
  type Table,
  watch,
} from './tables.ts';

/** Options that say how rows are stored and cleaned, and nothing of what is in them. */
const STORAGE = /^(fillfactor|autovacuum_\w+)$/;

/** @returns what is wrong with ALTER TABLE */
export function judgeAlterTable(node: Node, made: Made, names: DatabaseNames): Fault[] {
  if (node.objtype !== 'OBJECT_TABLE') return [contracts(`alters a ${words(node.objtype)}`)];
  const key = keyOf(node.relation);
  const table = made.tables.get(key) ?? newTable(false);
  made.tables.set(key, table);
  const isWatched = !table.isNew && names.watched.has(node.relation.relname);
  return node.cmds.flatMap(({ AlterTableCmd: command }: Node) =>
    isWatched && command.subtype === 'AT_AddColumn'
      ? [
          contracts(
            'adds a column to a table with triggers, rules or functions of its rows, which may not fit',
          ),
        ]
      : judgeAlteration(command, table, names),
  );
}

function judgeAlteration(command: Node, table: Table, names: DatabaseNames): Fault[] {
  const { subtype, def } = command;
  switch (subtype) {
    case 'AT_AddColumn':
      return addColumn(table, def.ColumnDef, names, !command.missing_ok);
    case 'AT_AddConstraint':
      return addConstraint(table, def.Constraint, names);
    case 'AT_ValidateConstraint':
    case 'AT_SetStatistics':
      return [];
    case 'AT_SetRelOptions':
    case 'AT_ResetRelOptions':
      return def.List.items.every(({ DefElem }: Node) => STORAGE.test(DefElem.defname))
        ? []
        : [contracts('changes an option of a table that is not known to be harmless')];
    default:
      return table.isNew ? judgeOwn(command, table, names) : judgeExisting(command);
  }
}

/** Of a table that these migrations made. */
function judgeOwn({ subtype, name, def, behavior }: Node, table: Table, names: DatabaseNames): Fault[] {
  switch (subtype) {
    case 'AT_DropNotNull':
      return [];
    case 'AT_SetNotNull':
      requireValue(table, name);
      return [];
    case 'AT_ColumnDefault':
      table.acts ||= !isPure(def, names);
      return [];
    case 'AT_AlterColumnType':
      if (isDomain(def.ColumnDef.typeName, names.domains)) watch(table, [name]);
      return isPure(def.ColumnDef.raw_default, names)
        ? []
        : [contracts('calls a function that may change something')];
    case 'AT_DropColumn':
    case 'AT_DropConstraint':
      return behavior === 'DROP_CASCADE' ? [contracts('drops what depends on it, too (CASCADE)')] : [];
    default:
      return [contracts(`alters a new table by ${words(subtype)}, which is not known to be harmless`)];
  }
}

function judgeExisting({ subtype, def }: Node): Fault[] {
  switch (subtype) {
    case 'AT_DropColumn':
      return [contracts('drops a column')];
    case 'AT_DropNotNull':
      return [contracts('allows NULL, which the previous release does not expect, in a column')];
    case 'AT_SetNotNull':
      return [contracts('forbids NULL in a column'), blocks('reads the whole table for NULLs')];
    case 'AT_AlterColumnType':
      return [contracts('changes a column’s type'), blocks('may rewrite the table')];
    case 'AT_ColumnDefault':
      return [contracts(def ? 'changes what inserts put into a column' : 'drops a default')];
    case 'AT_DropConstraint':
      return [contracts('drops a constraint, which ON CONFLICT or a cascading delete may need')];
    case 'AT_EnableRowSecurity':
    case 'AT_ForceRowSecurity':
      return [contracts('hides rows by row security')];
    default:
      return [contracts(`alters a table by ${words(subtype)}, which is not known to be harmless`)];
  }
}
