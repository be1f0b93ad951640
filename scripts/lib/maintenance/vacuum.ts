/** Space of deleted rows that can be used again, and statistics for the planner. */
import type { Config } from '../config/config.ts';
import { count, duration, utc } from '../core/format.ts';
import { runSql } from '../postgres/client.ts';
import { query } from '../postgres/query.ts';
import type { Task } from './tasks.ts';

/** Seconds. Autovacuum has no limit; this one ends before the next night. */
const LONGEST = 6 * 3600;

/* Tables that are locked are left to autovacuum. Of a table that others own, PostgreSQL warns. */
const STATEMENT = 'VACUUM (ANALYZE, SKIP_LOCKED)';
/* As slow as autovacuum's default, so that it leaves the disk to the application. */
const GENTLE = '-c vacuum_cost_delay=2';

interface Rows {
  live: number;
  dead: number;
  /** Tables that have rows and were never analyzed. */
  unknown: number;
  /** Tables that have rows and were never vacuumed. */
  never: number;
  /** The oldest of the last vacuums of all tables. */
  last: string | null;
}

const SQL = `SELECT coalesce(sum(n_live_tup), 0)::int8 AS live, coalesce(sum(n_dead_tup), 0)::int8 AS dead,
  count(*) FILTER (WHERE last_analyze IS NULL AND last_autoanalyze IS NULL AND n_live_tup > 0) AS unknown,
  count(*) FILTER (WHERE last_vacuum IS NULL AND last_autovacuum IS NULL AND n_live_tup > 0) AS never,
  to_json(min(greatest(last_vacuum, last_autovacuum))) #>> '{}' AS last FROM pg_stat_user_tables`;

/** `VACUUM (ANALYZE)` of the live database. It needs no lock of the scripts: backups and deployments run beside it. */
export const vacuum = ({ postgres }: Config): Task => {
  const read = async () => (await query<Rows>(postgres, postgres.database, SQL))[0]!;
  return {
    name: 'vacuum',
    async look() {
      const { live, dead, unknown, never, last } = await read();
      const oldest = last === null ? '' : `; the oldest vacuum is of ${utc(last)}`;
      return {
        found: `${count(dead)} dead and ${count(live)} live rows${oldest}`,
        notes: [
          ...(never > 0 ? [`tables with rows that were never vacuumed: ${count(never)}`] : []),
          ...(unknown > 0 ? [`tables with rows without statistics: ${count(unknown)}`] : []),
        ],
        todo: [
          {
            what: `VACUUM (ANALYZE) ${postgres.database}`,
            async run() {
              const started = performance.now();
              await runSql(postgres, postgres.database, STATEMENT, {
                purpose: `vacuum ${postgres.database}`,
                timeout: LONGEST,
                settings: GENTLE,
              });
              const seconds = (performance.now() - started) / 1000;
              const after = await read();
              return `VACUUM (ANALYZE) ${postgres.database} in ${duration(seconds)}: ${count(dead)} → ${count(after.dead)} dead rows`;
            },
          },
        ],
      };
    },
  };
};
