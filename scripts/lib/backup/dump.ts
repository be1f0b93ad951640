import { statSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { PARTIAL } from '../core/files.ts';
import { count, plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { withProgress } from '../core/progress.ts';
import { producer } from '../postgres/client.ts';
import { maintenanceOf } from '../postgres/databases.ts';
import type { SpaceFacts } from '../postgres/load-space.ts';
import type { Waiters } from '../postgres/lock-waits.ts';
import { StartAgain, underLockWatch } from '../postgres/lock-watch.ts';
import { queryOf } from '../postgres/query.ts';
import { runIntoFile } from '../postgres/redirect.ts';
import { countRows, totalRows } from '../postgres/row-counts.ts';
import type { ServerFacts } from '../postgres/server.ts';
import { openSession, type Session, type Statements } from '../postgres/session.ts';
import { watchWriting } from '../postgres/space-watch.ts';
import { completeFacts, readFacts } from './database-facts.ts';
import { dumpPipeline, globalsPipeline } from './dump-commands.ts';
import {
  hasNoRoom,
  lockCapacity,
  lockTables,
  refuseUnlocked,
  refuseUnreadable,
  tablesToLock,
  whileNotRewritten,
} from './lock-tables.ts';
import type { Format } from './manifest.ts';
import { refuseIncomplete } from './unreadable-objects.ts';

/** What is dumped, and into which files. */
interface Wanted {
  format: Format;
  artifact: string;
  globals: string;
  /** The artifact's expected size in bytes. */
  estimate: number;
  /** As in the plan of the backup. */
  shared: SpaceFacts | undefined;
}

/**
 * How often a backup starts from a new snapshot: because tables changed before it had locked them, which costs nothing;
 * because they changed unlocked, which costs a whole dump.
 */
const ATTEMPTS = { locked: 10, unlocked: 3 };

/**
 * Dumps the database and counts its rows, both from one snapshot. All tables are locked from before that snapshot until
 * the rows are counted, so that nothing truncates or rewrites them meanwhile. A server that has no room for these locks
 * beside those of pg_dump is dumped without, and again where a table was truncated or rewritten.
 *
 * @returns what the manifest says of the database, and what the programs warned of
 * @throws OperationalError with the session that holds a table locked for longer than BACKUP_LOCK_WAIT; CommandError
 */
export async function dump(config: Config, server: ServerFacts, wanted: Wanted) {
  const patience = { limit: config.lockWait, left: config.lockWait };
  const tables = { locked: true };
  for (let attempt = 1; ; attempt++) {
    try {
      return await dumpOnce(config, server, wanted, patience, tables);
    } catch (error) {
      if (tables.locked && hasNoRoom(error)) {
        tables.locked = false;
        attempt = 0;
        log.warn('the server has no room for the locks of all tables; dumping without them');
        continue;
      }
      if (hasNoRoom(error)) throw await noRoom(config);
      const attempts = ATTEMPTS[tables.locked ? 'locked' : 'unlocked'];
      if (!(error instanceof StartAgain) || attempt >= attempts) throw error;
      log.warn(`${error.message}; starting again with a new snapshot`);
    }
  }
}

async function dumpOnce(
  { postgres, roles }: Config,
  server: ServerFacts,
  wanted: Wanted,
  patience: { limit: number; left: number },
  protection: { locked: boolean },
) {
  const { database } = postgres;
  const again = queryOf(postgres, database);
  const session = openSession(postgres, database);
  try {
    const tables = await tablesToLock(session.query);
    refuseUnreadable(tables, postgres.user);
    const isOwnRole = roles.backup.password !== undefined && postgres.user === roles.backup.name;
    if (!server.superuser) await refuseIncomplete(session.query, postgres.user, isOwnRole);
    // pg_dump needs as many once more, and the application must find room, too.
    if (tables.length * 2 > (await lockCapacity(session.query))) protection.locked = false;
    const { locked } = protection;
    const [backend] = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const who: Waiters = { pid: backend!.pid, application: `stack-backup ${backend!.pid}` };
    return await underLockWatch(postgres, database, who, patience, async () => {
      await session.execute('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      if (locked) await lockTables(session, tables, again);
      await session.execute('SET LOCAL row_security = off'); // fails instead of leaving out rows
      const [snapshot] = await session.query<{ id: string }>('SELECT pg_export_snapshot() AS id');
      if (locked) await refuseUnlocked(session.query);
      const seen = locked ? [] : await tablesToLock(session.query);
      const dumpAndCount = async () => {
        const short = await releasing(session);
        const { facts, begun } = await readFacts(short, database);
        const dumps = { snapshot: snapshot!.id, who, lockWait: patience.limit };
        const said = await runDumps(postgres, server, wanted, dumps);
        const counts = await countRows(short);
        log.done(
          `counted ${count(totalRows(counts))} rows in ${plural(counts.length, 'table')} of the same snapshot`,
        );
        const { definitions, warnings } = await completeFacts(short, begun);
        for (const sentence of warnings) log.warn(sentence);
        return { ...facts, tables: counts, definitions, warnings: [...new Set([...said, ...warnings])] };
      };
      return locked ? dumpAndCount() : whileNotRewritten(seen, again, dumpAndCount);
    });
  } finally {
    await session.close();
  }
}

/** @returns what the programs warned of */
async function runDumps(
  postgres: Config['postgres'],
  { superuser }: ServerFacts,
  { format, artifact, globals, estimate, shared }: Wanted,
  { snapshot, who, lockWait }: { snapshot: string; who: Waiters; lockWait: number },
): Promise<string[]> {
  const { database } = postgres;
  // pg_dump prints no codes: its errors are recognised by their English text.
  const english = superuser ? '-c lc_messages=C' : '';
  const named = (argv: string[]) => {
    const command = producer(postgres, argv, english);
    return { ...command, env: { ...command.env, PGAPPNAME: who.application } };
  };
  const measure = () => statSync(artifact + PARTIAL, { throwIfNoEntry: false })?.size ?? 0;
  const ofDump = await withProgress({ label: 'Dumping', measure, total: estimate }, () =>
    watchWriting(artifact, shared, `dumping ${database}`, until =>
      runIntoFile(named(dumpPipeline(database, format, snapshot, lockWait)), artifact + PARTIAL, {
        purpose: `dump ${database}`,
        until,
      }),
    ),
  );
  const roles = named(globalsPipeline(maintenanceOf(postgres)));
  const ofRoles = await runIntoFile(roles, globals + PARTIAL, { purpose: 'dump roles and settings' });
  return [...ofDump.warnings, ...ofRoles.warnings];
}

/** @returns statements of an open transaction; the locks of each query, those of indexes above all, are released after it */
async function releasing({ query, execute }: Session): Promise<Statements> {
  await execute('SAVEPOINT before_query');
  return {
    query: async sql => {
      const rows = await query(sql);
      await execute('ROLLBACK TO SAVEPOINT before_query');
      return rows as never;
    },
    // What it sets stays.
    execute: sql => execute(`${sql}; RELEASE SAVEPOINT before_query; SAVEPOINT before_query`),
  };
}

async function noRoom({ postgres }: Config): Promise<OperationalError> {
  const query = queryOf(postgres, postgres.database);
  const tables = await tablesToLock(query);
  const [row] = await query<{ sessions: number }>(
    `SELECT current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int AS sessions`,
  );
  return new OperationalError(
    `PostgreSQL has no room for the locks of a dump of ${plural(tables.length, 'table')}`,
    `set max_locks_per_transaction to ${Math.ceil((2 * tables.length) / row!.sessions)} or more, and restart PostgreSQL.`,
  );
}
