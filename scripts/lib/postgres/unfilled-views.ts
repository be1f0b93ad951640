/** Materialized views that have rows and read one that was emptied: pg_dump leaves out their REFRESH, too. */
import type { Query } from './query.ts';

/** A query of the numbers of materialized views that read, also through others, one without rows. */
export const UNFILLED = `WITH RECURSIVE reads AS (SELECT DISTINCT ev_class AS view, refobjid AS needed
    FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    WHERE refclassid = 'pg_class'::regclass AND refobjid <> ev_class AND rulename = '_RETURN'),
  needs AS (SELECT view, needed FROM reads JOIN pg_class ON oid = view WHERE relkind = 'm'
    UNION SELECT needs.view, reads.needed FROM needs JOIN reads ON reads.view = needs.needed)
  SELECT view FROM needs JOIN pg_class ON oid = needed WHERE relkind = 'm' AND NOT relispopulated`;

/** @returns a sentence for each materialized view that has rows, and has none after a restore */
export async function filledInVain(query: Query): Promise<string[]> {
  const rows = await query<{ name: string }>(
    `SELECT oid::regclass AS name FROM pg_class WHERE relispopulated AND oid IN (${UNFILLED}) ORDER BY 1`,
  );
  return rows.map(
    ({ name }) =>
      `materialized view ${name} has rows, but one that it reads has none: after a restore it has none either. REFRESH MATERIALIZED VIEW both`,
  );
}
