import { messageOf } from '../core/errors.ts';

/**
 * What is wrong with a statement of a migration.
 * - contracts: the previous release may fail with the new schema, so a rollback also needs the earlier database
 * - blocks: writers of an existing table wait while it runs
 *
 * Which locks a statement takes: https://www.postgresql.org/docs/15/sql-altertable.html
 */
export interface Risk {
  kind: 'contracts' | 'blocks';
  /** In words: `drops a column`. */
  what: string;
  /** The statement, shortened to one line. */
  sql: string;
}

// biome-ignore lint/suspicious/noExplicitAny: PostgreSQL's parse tree, of which a few fields are read
type Node = any;

/**
 * Reads a migration with PostgreSQL's own parser. A statement that is not known to be safe counts as contracting.
 *
 * @returns what is wrong, in the order of its statements; one finding for a file that the parser refuses
 */
export async function lintMigration(sql: string): Promise<Risk[]> {
  const { parse } = await import('libpg-query'); // a parser in WebAssembly, compiled as it is loaded
  let statements: Node[];
  try {
    statements = (await parse(sql)).stmts ?? [];
  } catch (error) {
    return [{ kind: 'contracts', what: `can't be read: ${messageOf(error)}`, sql: oneLine(sql) }];
  }
  const source = Buffer.from(sql);
  const created = new Set<string>();
  return statements.flatMap(({ stmt, stmt_location: start = 0, stmt_len: length }) => {
    const [[type, node]] = Object.entries<Node>(stmt) as [[string, Node]];
    const text = oneLine(source.subarray(start, length ? start + length : undefined).toString());
    const found = lintStatement(type, node, created);
    const table =
      type === 'CreateStmt' ? node.relation : type === 'CreateTableAsStmt' ? node.into?.rel : undefined;
    if (table) created.add(table.relname);
    return found.map(finding => ({ ...finding, sql: text }));
  });
}

function oneLine(sql: string): string {
  const line = sql
    .replace(/--[^\n]*/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > 100 ? `${line.slice(0, 99)}…` : line;
}

type Fault = Omit<Risk, 'sql'>;
const contracts = (what: string): Fault => ({ kind: 'contracts', what });
const blocks = (what: string): Fault => ({ kind: 'blocks', what });

/** Statements that only add. */
const EXPANDING = new Set(
  (
    'AlterSeq Comment CreateDomain CreateEnum CreateExtension CreateFunction CreateSchema CreateSeq ' +
    'CreateStats Create CreateTableAs CreateTrig Insert Select Transaction Update Vacuum VariableSet ' +
    'View'
  )
    .split(' ')
    .map(name => `${name}Stmt`),
);

/** Objects that no query names: the previous release works without them. */
const UNNAMED = new Set(['OBJECT_INDEX', 'OBJECT_TABCONSTRAINT', 'OBJECT_STATISTIC_EXT', 'OBJECT_POLICY']);

function lintStatement(type: string, node: Node, created: Set<string>): Fault[] {
  if (EXPANDING.has(type)) return [];
  const own = created.has(node.relation?.relname);
  switch (type) {
    case 'AlterTableStmt':
      return own ? [] : node.cmds.flatMap(({ AlterTableCmd }: Node) => lintAlteration(AlterTableCmd));
    case 'IndexStmt':
      return [
        ...(own || node.concurrent ? [] : [blocks('builds an index without CONCURRENTLY')]),
        ...(own || !node.unique ? [] : [contracts('adds a unique index')]),
      ];
    case 'DropStmt':
      return UNNAMED.has(node.removeType) ? [] : [contracts(`drops a ${words(node.removeType)}`)];
    case 'RenameStmt':
      return own || UNNAMED.has(node.renameType) ? [] : [contracts(`renames a ${words(node.renameType)}`)];
    case 'AlterEnumStmt':
      return node.oldVal ? [contracts('renames a value of a type')] : [];
    case 'GrantStmt':
      return node.is_grant ? [] : [contracts('revokes privileges')];
    case 'DeleteStmt':
      return [contracts('deletes rows')];
    case 'TruncateStmt':
      return [contracts('deletes all rows of a table')];
    case 'LockStmt':
      return [blocks('locks a table')];
    default:
      return [contracts(`is not known to be safe: ${type.replace(/Stmt$/, '')}`)];
  }
}

/** Alterations of a table that the previous release does not notice. */
const HARMLESS = new Set(
  'AT_DropNotNull AT_DropConstraint AT_ValidateConstraint AT_SetStatistics AT_SetStorage AT_SetRelOptions AT_ResetRelOptions AT_AddIdentity AT_ReplicaIdentity'.split(
    ' ',
  ),
);

function lintAlteration({ subtype, def }: Node): Fault[] {
  if (HARMLESS.has(subtype)) return [];
  switch (subtype) {
    case 'AT_AddColumn': {
      const kinds: string[] = (def.ColumnDef.constraints ?? []).map(
        ({ Constraint }: Node) => Constraint.contype,
      );
      const filled = ['CONSTR_DEFAULT', 'CONSTR_IDENTITY', 'CONSTR_GENERATED'].some(kind =>
        kinds.includes(kind),
      );
      const needed = kinds.includes('CONSTR_NOTNULL') || kinds.includes('CONSTR_PRIMARY');
      const serial = /serial/.test(JSON.stringify(def.ColumnDef.typeName?.names ?? ''));
      return needed && !filled && !serial ? [contracts('adds a required column without a default')] : [];
    }
    case 'AT_DropColumn':
      return [contracts('drops a column')];
    case 'AT_SetNotNull':
      return [contracts('forbids NULL in a column'), blocks('reads the whole table for NULLs')];
    case 'AT_AlterColumnType':
      return [contracts('changes a column’s type'), blocks('may rewrite the table')];
    case 'AT_ColumnDefault':
      return def ? [] : [contracts('drops a default')];
    case 'AT_AddConstraint':
      return [
        contracts('adds a constraint'),
        ...(def?.Constraint?.skip_validation ? [] : [blocks('checks every row for a constraint')]),
      ];
    default:
      return [contracts(`changes a table by ${words(subtype)}, which is not known to be safe`)];
  }
}

/** `OBJECT_MATVIEW`, `AT_DropInherit` as words. */
function words(name: string): string {
  return name
    .replace(/^(OBJECT|AT)_/, '')
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .replaceAll('_', ' ')
    .toLowerCase();
}
