import type { Config } from '../../config/config.ts';
import { duration, parseStamp } from '../../core/format.ts';
import { asJson, runSql } from '../../postgres/client.ts';
import { besidesSql } from '../../postgres/databases.ts';
import { type Check, type Finding, grade, type Remark, sum } from '../check.ts';
import { COMMAND_SECONDS } from '../docker.ts';

const CONNECTIONS = { warning: 80, critical: 95 };
/** Of a database that a restore has kept. */
const KEPT_SECONDS = 7 * 86_400;

interface Row {
  readOnly: boolean;
  recovery: boolean;
  used: number;
  limit: number;
  version: string;
  kept: string[];
}

/*
 * The message is written and committed like any change, so it proves that the log reaches the disk: a commit that
 * has only taken a number, as after txid_current(), is acknowledged before it is written.
 */
const sqlFor = (database: string) => `SELECT pg_is_in_recovery() AS recovery,
  current_setting('transaction_read_only')::bool AS "readOnly",
  CASE WHEN NOT current_setting('transaction_read_only')::bool
    THEN pg_logical_emit_message(true, 'health-check', '')::text END AS written,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
  current_setting('max_connections')::int AS limit,
  split_part(current_setting('server_version'), ' ', 1) AS version,
  (SELECT coalesce(json_agg(name), '[]') FROM (${besidesSql(database, 'before')}) AS kept) AS kept`;

/** Connects to the live database and commits a change of nothing. */
export const postgres = ({ postgres: server }: Config): Check => ({
  name: 'postgres',
  run: async () => {
    const text = await runSql(server, server.database, asJson(sqlFor(server.database)), {
      purpose: `use ${server.database}`,
      timeout: COMMAND_SECONDS,
      settings: `-c statement_timeout=${COMMAND_SECONDS}s`, // in a container psql outlives its end here
    });
    return judge((JSON.parse(text) as [Row])[0]);
  },
});

function judge({ readOnly, recovery, used, limit, version, kept }: Row): Finding {
  const percent = Math.round((used / limit) * 100);
  const connections = grade(percent, CONNECTIONS);
  const remarks: Remark[] = [
    recovery
      ? ['critical', 'it is in recovery: a standby, which takes no writes']
      : readOnly
        ? ['critical', 'it takes no writes: default_transaction_read_only is on']
        : ['ok', 'accepts writes'],
    [connections, `${used} of ${limit} connections ${connections === 'ok' ? '' : 'are '}used`],
    ...kept.map(remarkOnKept),
    ['ok', `PostgreSQL ${version}`],
  ];
  return { ...sum(remarks), value: percent, unit: '%', thresholds: CONNECTIONS };
}

function remarkOnKept(name: string): Remark {
  const seconds = (Date.now() - parseStamp(name.slice(-15)).getTime()) / 1000;
  if (seconds < KEPT_SECONDS) return ['ok', `a restore has kept ${name}`];
  return ['warning', `${name} has been kept for ${duration(seconds)}: restore.ts --finish drops it`];
}
