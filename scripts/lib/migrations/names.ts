import type { Query } from '../postgres/query.ts';

/** Names that a database has in any of its schemas, but the catalog's: what a new object of the same name may hide. */
export interface DatabaseNames {
  /** Tables, views, sequences, indexes. */
  relations: Set<string>;
  types: Set<string>;
  /** Types that can refuse a value, NULL too. */
  domains: Set<string>;
  functions: Set<string>;
  /** Functions and types of PostgreSQL: a function of the same name can fit a call better. */
  builtIn: Set<string>;
  views: Set<string>;
  /** Tables with triggers, rules, or functions that take or return their rows, and their parents. */
  watched: Set<string>;
}

type Kind = keyof DatabaseNames;

const OWN = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";
const QUERIES: Record<Kind, string> = {
  relations: `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE ${OWN} AND c.relkind <> 't'`,
  views: `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE ${OWN} AND c.relkind IN ('v', 'm', 'f')`,
  types: `SELECT t.typname AS name FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE ${OWN}`,
  domains: `SELECT t.typname AS name FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE ${OWN} AND t.typtype = 'd'`,
  functions: `SELECT p.proname AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${OWN}`,
  builtIn: `SELECT proname AS name FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
    UNION SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace`,
  watched: `WITH watched AS (
      SELECT tgrelid AS oid FROM pg_trigger WHERE NOT tgisinternal
      UNION SELECT ev_class FROM pg_rewrite JOIN pg_class c ON c.oid = ev_class WHERE c.relkind IN ('r', 'p')
      UNION SELECT t.typrelid FROM pg_proc p JOIN pg_type t
        ON t.oid = p.prorettype OR t.oid = ANY (p.proargtypes) OR t.oid = ANY (p.proallargtypes)
        WHERE t.typrelid <> 0 AND p.pronamespace <> 'pg_catalog'::regnamespace)
    SELECT relname AS name FROM pg_class WHERE oid IN (
      SELECT oid FROM watched UNION SELECT inhparent FROM pg_inherits WHERE inhrelid IN (SELECT oid FROM watched))`,
};

/** @returns the names that a database has @throws CommandError */
export async function readNames(query: Query): Promise<DatabaseNames> {
  const kinds = Object.entries(QUERIES).map(([kind, sql]) => `ARRAY(${sql})::text[] AS "${kind}"`);
  const [row] = await query<Record<Kind, string[]>>(`SELECT ${kinds.join(', ')}`);
  return Object.fromEntries(
    Object.entries(row!).map(([kind, names]) => [kind, new Set(names)]),
  ) as unknown as DatabaseNames;
}
