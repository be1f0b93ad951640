import type { Config } from '../../config/config.ts';
import { duration, parseStamp } from '../../core/format.ts';
import { siblingsSql } from '../../postgres/databases.ts';
import { query } from '../../postgres/query.ts';
import { type Check, type Finding, grade, type Remark, summarize } from '../check.ts';
import { COMMAND_SECONDS } from '../docker.ts';

const CONNECTIONS = { warning: 80, critical: 95 };
/** The age in seconds at which a kept database becomes a warning. */
const KEPT_SECONDS = 7 * 86_400;

interface Row {
  readOnly: boolean;
  recovery: boolean;
  used: number;
  limit: number;
  version: string;
  kept: string[];
  foreignOrder: boolean;
}

/*
 * pg_logical_emit_message() is written to the WAL and flushed at the commit, which proves that the server can write. A
 * transaction that only has an id, as after txid_current(), is acknowledged before its commit is written.
 */
/*
 * Since 15, a database knows by which version of its C library's rules its indexes are sorted. glibc has a version for every
 * locale but C, POSIX and C.*, musl for none: without one, musl sorted them. PostgreSQL itself does not warn then.
 */
const FOREIGN_ORDER = `(SELECT current_setting('server_version_num')::int >= 150000 AND version() LIKE '%-linux-gnu%'
    AND to_jsonb(d) ->> 'datlocprovider' = 'c' AND datcollate !~ '^(C|POSIX|C\\..*)$'
    AND to_jsonb(d) ->> 'datcollversion' IS NULL
  FROM pg_database AS d WHERE datname = current_database())`;

const sqlFor = (database: string) => `SELECT pg_is_in_recovery() AS recovery,
  current_setting('transaction_read_only')::bool AS "readOnly",
  CASE WHEN NOT current_setting('transaction_read_only')::bool
    THEN pg_logical_emit_message(true, 'health-check', '')::text END AS written,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
  current_setting('max_connections')::int AS limit,
  split_part(current_setting('server_version'), ' ', 1) AS version,
  ${FOREIGN_ORDER} AS "foreignOrder",
  (SELECT coalesce(json_agg(name), '[]') FROM (${siblingsSql(database, 'before')}) AS kept) AS kept`;

/** Connects to the live database and commits a write that changes nothing. */
export const postgres = ({ postgres: server }: Config): Check => ({
  name: 'postgres',
  run: async () => {
    const [row] = await query<Row>(server, server.database, sqlFor(server.database), {
      purpose: `use ${server.database}`,
      timeout: COMMAND_SECONDS,
      inherit: ['default_transaction_read_only'], // the application's writes fail where it is on
    });
    return assess(row!);
  },
});

function assess({ readOnly, recovery, used, limit, version, kept, foreignOrder }: Row): Finding {
  const percent = Math.round((used / limit) * 100);
  const connections = grade(percent, CONNECTIONS);
  const remarks: Remark[] = [
    recovery
      ? ['critical', 'it is in recovery: a standby is read-only']
      : readOnly
        ? ['critical', 'it is read-only: default_transaction_read_only is on']
        : ['ok', 'accepts writes'],
    [connections, `${used} of ${limit} connections ${connections === 'ok' ? '' : 'are '}used`],
    ...(foreignOrder ? [FOREIGN_REMARK] : []),
    ...kept.map(remarkOnKept),
    ['ok', `PostgreSQL ${version}`],
  ];
  return { ...summarize(remarks), value: percent, unit: '%', thresholds: CONNECTIONS };
}

const FOREIGN_REMARK: Remark = [
  'critical',
  'its data directory comes from an image of Alpine: text is sorted in another order here, and indexes on text are wrong',
];

function remarkOnKept(name: string): Remark {
  const seconds = (Date.now() - parseStamp(name.slice(-15)).getTime()) / 1000;
  if (seconds < KEPT_SECONDS) return ['ok', `a restore has kept ${name}`];
  return [
    'warning',
    `${name} has been kept for ${duration(seconds)}: ./scripts/restore.ts --finish drops it`,
  ];
}
