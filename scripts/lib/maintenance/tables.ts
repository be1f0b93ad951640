/** Tables that take more space than their rows need, and indexes that nobody uses. Only reports: an operator decides. */
import type { Config } from '../config/config.ts';
import { bytes, duration } from '../core/format.ts';
import { query } from '../postgres/query.ts';
import type { Task } from './tasks.ts';

/** Less than this is not worth the lock that its removal takes. */
const MIB = 1024 * 1024;
const LEAST = { tableBytes: 10 * MIB, tableShare: 0.3, indexBytes: MIB };
/** Statistics of fewer days miss what runs once a month. */
const DAYS = 30;
/** The largest of each kind are named. */
const MOST = 10;

interface Bloated {
  table: string;
  size: number;
  spare: number;
}

interface Index {
  index: string;
  table: string;
  size: number;
  isValid: boolean;
}

/*
 * An estimate from the planner's statistics: a row needs the sum of its columns' average widths, a header of 24 bytes and a
 * pointer of 4, and a page of 8 KB has 24 bytes of its own (https://www.postgresql.org/docs/current/storage-page-layout.html).
 * Without statistics of each column there is no estimate. Long values, which are stored outside, are not looked at.
 */
const BLOATED = `SELECT format('%I.%I', nspname, relname) AS "table", size, (size - pages * block)::int8 AS spare FROM (
    SELECT nspname, relname, size, block,
      ceil(reltuples / greatest(1, floor((block - 24) * fill / 100.0 / (28 + ceil(width / 8.0) * 8)))) AS pages FROM (
      SELECT n.nspname, c.relname, c.reltuples, pg_relation_size(c.oid) AS size, current_setting('block_size')::int AS block,
        coalesce((SELECT option_value::int FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'), 100) AS fill,
        (SELECT sum((1 - null_frac) * avg_width) FROM pg_stats s
          WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND NOT s.inherited) AS width,
        (SELECT count(*) FROM pg_stats s
          WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND NOT s.inherited) AS known,
        (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.reltuples >= 0
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')) AS t
    WHERE known = columns) AS estimated
  WHERE size - pages * block >= greatest(${LEAST.tableBytes}, size * ${LEAST.tableShare}) ORDER BY 3 DESC LIMIT ${MOST}`;

/* What enforces a rule, identifies rows for replication, or belongs to an index of a partitioned table is of use unscanned. */
const UNUSED = `SELECT format('%I.%I', schemaname, indexrelname) AS index, format('%I.%I', schemaname, relname) AS "table",
    pg_relation_size(indexrelid) AS size, indisvalid AS "isValid"
  FROM pg_stat_user_indexes JOIN pg_index USING (indexrelid)
  WHERE NOT indisvalid OR (idx_scan = 0 AND NOT indisunique AND NOT indisexclusion AND NOT indisreplident
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)
    AND pg_relation_size(indexrelid) >= ${LEAST.indexBytes}) ORDER BY indisvalid, 3 DESC LIMIT ${MOST}`;

const SINCE = `SELECT extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time()))::float8 AS seconds
  FROM pg_stat_database WHERE datname = current_database()`;

/** What VACUUM does not give back to the disk, and what each write maintains in vain. */
export const tables = ({ postgres }: Config): Task => ({
  name: 'tables',
  async look() {
    const ask = <Row>(sql: string) => query<Row>(postgres, postgres.database, sql);
    const [bloated, indexes, [since]] = await Promise.all([
      ask<Bloated>(BLOATED),
      ask<Index>(UNUSED),
      ask<{ seconds: number }>(SINCE),
    ]);
    const seconds = since?.seconds ?? 0;
    const unused = indexes.filter(({ isValid }) => isValid);
    const [space, spare] = [
      unused.reduce((sum, { size }) => sum + size, 0),
      bloated.reduce((sum, each) => sum + each.spare, 0),
    ];
    return {
      found: `${bloated.length} with unused space (${bytes(spare)}), ${unused.length} indexes not used for ${duration(seconds)} (${bytes(space)})`,
      notes: [
        ...bloated.map(
          ({ table, size, spare: each }) =>
            `table ${table} has about ${bytes(each)} of ${bytes(size)} unused: VACUUM (FULL) ${table} in maintenance mode gives them back`,
        ),
        ...indexes
          .filter(({ isValid }) => !isValid)
          .map(
            ({ index, table }) =>
              `index ${index} of ${table} is not valid, as a failed CREATE INDEX CONCURRENTLY leaves it: REINDEX INDEX CONCURRENTLY ${index} or DROP INDEX ${index}`,
          ),
        ...unused.map(
          ({ index, table, size }) =>
            `index ${index} of ${table} (${bytes(size)}) was not used for ${duration(seconds)}`,
        ),
        ...(unused.length > 0 && seconds < DAYS * 86_400
          ? [`the statistics are younger than ${DAYS} days: do not drop an index because of them`]
          : []),
      ],
    };
  },
});
