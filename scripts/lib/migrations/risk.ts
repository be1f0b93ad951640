/**
 * What is wrong with a statement of a migration.
 * - contracts: it is not known to be harmless, so the previous release may fail with the new schema, and a rollback also
 *   needs the earlier database
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
  /** Why it does not prevent a rollback all the same: what the developer says in the comment before a statement that contracts. */
  accepted?: string;
}

export type Fault = Omit<Risk, 'sql' | 'accepted'>;
export const contracts = (what: string): Fault => ({ kind: 'contracts', what });
export const blocks = (what: string): Fault => ({ kind: 'blocks', what });

/** `OBJECT_MATVIEW`, `AT_DropInherit`, `AlterSystemStmt` as words. */
export function words(name: string): string {
  return name
    .replace(/^(OBJECT|AT)_|Stmt$/g, '')
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .replaceAll('_', ' ')
    .toLowerCase();
}
