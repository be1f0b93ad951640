/**
 * Which statements are harmless: those of this list, in the forms that it names. The differential test
 * (test/integration/harmless-migrations.test.ts) has an example of each.
 */
import { judgeAlterTable } from './alter-table.ts';
import {
  HIDES,
  type Judge,
  judgeCreateTable,
  judgeCreateTableAs,
  judgeIndex,
  makes,
  SIDE_EFFECTS,
} from './create.ts';
import { isPure, type Node, namesIn } from './expressions.ts';
import type { DatabaseNames } from './names.ts';
import { blocks, contracts, type Fault, words } from './risk.ts';
import { keyOf, keyOfNames, type Made, type Table } from './tables.ts';

const EXISTING_ROWS = 'writes rows that the previous release reads';

const EXTENSIONS = new Set(['citext', 'pg_trgm', 'pgcrypto', 'uuid-ossp']);
const SETTINGS = new Set(
  'client_min_messages idle_in_transaction_session_timeout lock_timeout maintenance_work_mem statement_timeout work_mem'.split(
    ' ',
  ),
);

/** @returns what is wrong with one statement; records what it makes */
export function judgeStatement(type: string, node: Node, made: Made, names: DatabaseNames): Fault[] {
  const judge = Object.hasOwn(JUDGES, type) ? JUDGES[type]! : undefined;
  if (judge) return judge(node, made, names);
  return [contracts(REASONS[type] ?? `is not known to be harmless: ${words(type)}`)];
}

/** Why some others are not harmless. */
const REASONS: Record<string, string> = {
  AlterDatabaseSetStmt: 'changes settings of later sessions',
  AlterObjectSchemaStmt: 'moves an object to another schema',
  AlterOwnerStmt: 'changes an owner, and with it the rights of the previous release',
  AlterRoleSetStmt: 'changes settings of later sessions',
  AlterRoleStmt: 'changes a role, with which the previous release may connect',
  CallStmt: 'runs a procedure, whose statements are not judged',
  CopyStmt: EXISTING_ROWS,
  CreatePolicyStmt: 'hides rows by row security',
  DoStmt: 'runs a block of code, whose statements are not judged',
  GrantRoleStmt: 'changes the membership of a role',
  MergeStmt: EXISTING_ROWS,
  RenameStmt: 'renames something',
  RuleStmt: 'makes queries do something else by a rule',
};

/** The table, if these migrations made it and writing a row does nothing else. */
const own = (made: Made, relation: Node): Table | undefined => {
  const table = made.tables.get(keyOf(relation));
  return table?.isNew && !table.acts ? table : undefined;
};

const judgeUpdate: Judge = (node, made, names) => {
  const table = made.tables.get(keyOf(node.relation));
  const columns: string[] = node.targetList.map(({ ResTarget }: Node) => ResTarget.name);
  if (!table || table.acts) return [contracts(EXISTING_ROWS)];
  const onlyNew = table.isNew || columns.every(name => table.columns.has(name));
  if (!onlyNew || names.watched.has(node.relation.relname)) return [contracts(EXISTING_ROWS)];
  if (!isPure(node, names)) return [contracts(SIDE_EFFECTS)];
  return table.isNew ? [] : [blocks('keeps rows locked until the migration ends')];
};

/** INSERT and DELETE: of tables that these migrations made. */
const judgeRows: Judge = (node, made, names) => {
  if (!own(made, node.relation)) return [contracts(EXISTING_ROWS)];
  return isPure(node, names) ? [] : [contracts(SIDE_EFFECTS)];
};

const judgeDrop: Judge = ({ objects, removeType, behavior }, made) => {
  const keys: string[] = objects.map((each: Node) =>
    keyOfNames(namesIn(each.List?.items ?? each.TypeName?.names ?? [])),
  );
  const isTable = removeType === 'OBJECT_TABLE';
  const isOwn = keys.every(key =>
    isTable ? made.tables.get(key)?.isNew : made.others.has(`${removeType} ${key}`),
  );
  if (!isOwn || behavior === 'DROP_CASCADE') {
    const why = removeType === 'OBJECT_INDEX' ? ', which ON CONFLICT may need' : '';
    return [contracts(`drops ${/^OBJECT_[AIEO]/.test(removeType) ? 'an' : 'a'} ${words(removeType)}${why}`)];
  }
  for (const key of keys) {
    if (isTable) made.tables.delete(key);
    else made.others.delete(`${removeType} ${key}`);
  }
  return [];
};

const nameOfRelation = ({ relname, schemaname }: Node): string[] => [
  ...(schemaname ? [schemaname] : []),
  relname,
];

const JUDGES: Record<string, Judge> = {
  AlterTableStmt: judgeAlterTable,
  CreateStmt: judgeCreateTable,
  CreateTableAsStmt: judgeCreateTableAs,
  IndexStmt: judgeIndex,
  UpdateStmt: judgeUpdate,
  InsertStmt: judgeRows,
  DeleteStmt: judgeRows,
  DropStmt: judgeDrop,
  CommentStmt: () => [],
  CreateStatsStmt: () => [],
  LockStmt: () => [blocks('locks a table')],
  SelectStmt: (node, _, names) => (isPure({ SelectStmt: node }, names) ? [] : [contracts(SIDE_EFFECTS)]),
  VacuumStmt: ({ options = [] }) =>
    options.some(({ DefElem }: Node) => DefElem.defname === 'full') ? [blocks('rewrites tables')] : [],
  TruncateStmt: ({ relations, behavior }, made) =>
    behavior !== 'DROP_CASCADE' && relations.every(({ RangeVar }: Node) => own(made, RangeVar))
      ? []
      : [contracts('deletes all rows of a table')],
  ViewStmt: ({ view }, made, names) => {
    names.views.add(view.relname);
    return makes('OBJECT_VIEW', () => nameOfRelation(view))({}, made, names);
  },
  CreateSeqStmt: makes('OBJECT_SEQUENCE', ({ sequence }) => nameOfRelation(sequence)),
  AlterSeqStmt: ({ sequence }, made) =>
    made.others.has(`OBJECT_SEQUENCE ${keyOf(sequence)}`) ? [] : [contracts('changes what a sequence gives')],
  CreateEnumStmt: makes('OBJECT_TYPE', ({ typeName }) => namesIn(typeName)),
  CompositeTypeStmt: makes('OBJECT_TYPE', ({ typevar }) => nameOfRelation(typevar)),
  CreateDomainStmt: makes(
    'OBJECT_DOMAIN',
    ({ domainname }) => namesIn(domainname),
    (name, { domains }) => domains.add(name),
  ),
  AlterEnumStmt: ({ typeName, oldVal }, made) =>
    made.others.has(`OBJECT_TYPE ${keyOfNames(namesIn(typeName))}`)
      ? []
      : [
          contracts(
            oldVal
              ? 'renames a value of a type'
              : 'adds a value to a type, which the previous release does not know',
          ),
        ],
  CreateFunctionStmt: ({ funcname }, _, names) => {
    const name = namesIn(funcname).at(-1)!;
    const taken = [names.functions, names.builtIn, names.types].some(set => set.has(name));
    return taken ? [contracts(HIDES)] : [];
  },
  CreateTrigStmt: ({ relation }, made) => {
    const table = made.tables.get(keyOf(relation));
    if (!table?.isNew)
      return [contracts('adds a trigger, which may refuse or change what the previous release writes')];
    table.acts = true;
    table.triggered = true;
    return [];
  },
  CreateSchemaStmt: ({ schemaElts }) => (schemaElts ? [contracts('makes objects with a schema')] : []),
  CreateExtensionStmt: ({ extname, options }) =>
    EXTENSIONS.has(extname) && !options
      ? []
      : [contracts('adds an extension that is not known to be harmless')],
  GrantStmt: ({ is_grant: gives }) => (gives ? [] : [contracts('revokes privileges')]),
  VariableSetStmt: ({ kind, name }) =>
    SETTINGS.has(name) && kind !== 'VAR_SET_MULTI'
      ? []
      : [contracts('changes a setting by which later statements may mean something else')],
  TransactionStmt: ({ kind }) =>
    ['TRANS_STMT_BEGIN', 'TRANS_STMT_START', 'TRANS_STMT_COMMIT'].includes(kind)
      ? []
      : [contracts('rolls back, or ends a part of a transaction')],
};
