/** The space that loading a database takes: data, WAL, temporary files. */
import type { Postgres } from '../config/config.ts';
import { literal } from './client.ts';
import { maintenanceOf, siblingsSql } from './databases.ts';
import { disksOf, reserveOf, type Use, visiblePaths } from './disk-space.ts';
import { query } from './query.ts';
import type { ServerFacts } from './server.ts';

const MIB = 1024 * 1024;

/** What a server does with its disks. All sizes are bytes. */
export interface SpaceFacts {
  /** PostgreSQL's data directory; null: it is not visible from here, and no disk of PostgreSQL is. */
  directory: string | null;
  /** Where tablespaces are: that of new databases, those of temporary files; null: in the data directory. */
  data: string | null;
  temporary: string[] | null;
  /** Of one file of WAL. */
  segment: number;
  maxWal: number;
  keepWal: number;
  /** How much a slot may hold; -1: everything. */
  slotLimit: number;
  /** What pg_wal has now, and how much of it is ready to be written over; 0 where this user may not look. */
  walNow: number;
  walSpare: number;
  /** A slot that nobody reads holds all WAL from now on. */
  slotHolds: boolean;
  /** Archiving fails, so all WAL stays. */
  archiveHolds: boolean;
  /** Reading a new page for the first time writes it to WAL once more: checksums, or wal_log_hints. */
  hintsInWal: boolean;
  /** The live database; 0: there is none. */
  liveBytes: number;
  /** Databases that a restore left, which the next one drops before it loads. */
  leftBytes: number;
}

/** What is loaded. All sizes are bytes. */
export interface LoadSize {
  /** The database on disk, with its indexes; 0: unknown, only the watch of the load ends it in time. */
  database: number;
  /** Undefined: unknown, a quarter of the database is assumed. */
  largestIndex: number | undefined;
  connections: number;
  /** maintenance_work_mem of each connection. */
  memory: number;
}

const walOf = (superuser: boolean) =>
  superuser
    ? `(SELECT coalesce(sum(size), 0)::int8 FROM pg_ls_waldir()) AS "walNow",
       (SELECT coalesce(sum(size), 0)::int8 FROM pg_ls_waldir() WHERE NOT pg_is_in_recovery()
          AND name ~ '^[0-9A-F]{24}$' AND name > pg_walfile_name(pg_current_wal_lsn())) AS "walSpare"`
    : '0 AS "walNow", 0 AS "walSpare"';

/**
 * @param connection the database to connect to
 * @throws CommandError
 */
export async function readSpaceFacts(
  postgres: Postgres,
  { dataDirectory, superuser }: ServerFacts,
  connection = maintenanceOf(postgres),
): Promise<SpaceFacts> {
  const live = literal(postgres.database);
  const [row] = await query<Omit<SpaceFacts, 'directory'>>(
    postgres,
    connection,
    `SELECT pg_size_bytes(current_setting('wal_segment_size')) AS segment,
       pg_size_bytes(current_setting('max_wal_size')) AS "maxWal",
       coalesce(pg_size_bytes(current_setting('wal_keep_size', true)), 0) AS "keepWal",
       coalesce(pg_size_bytes(current_setting('max_slot_wal_keep_size', true)), -1) AS "slotLimit",
       ${walOf(superuser)},
       EXISTS (SELECT FROM pg_replication_slots WHERE restart_lsn IS NOT NULL AND NOT active) AS "slotHolds",
       current_setting('archive_mode') <> 'off' AND EXISTS (SELECT FROM pg_stat_archiver
         WHERE last_failed_time > coalesce(last_archived_time, '-infinity')) AS "archiveHolds",
       'on' IN (current_setting('data_checksums'), current_setting('wal_log_hints')) AS "hintsInWal",
       coalesce((SELECT pg_database_size(oid) FROM pg_database WHERE datname = ${live}), 0) AS "liveBytes",
       coalesce((SELECT sum(pg_database_size(name))::int8 FROM (${siblingsSql(postgres.database, 'new')}) AS s), 0) AS "leftBytes",
       (SELECT nullif(pg_tablespace_location(dattablespace), '') FROM pg_database WHERE datname = ${live}) AS data,
       (SELECT array_agg(pg_tablespace_location(oid)) FROM pg_tablespace
         WHERE spcname = ANY (regexp_split_to_array(replace(current_setting('temp_tablespaces'), '"', ''), ', *'))
         AND pg_tablespace_location(oid) <> '') AS temporary`,
  );
  const isVisible = dataDirectory !== null && visiblePaths(postgres, [dataDirectory]).length > 0;
  return { ...row!, directory: isVisible ? dataDirectory : null };
}

/**
 * By how much each kind of file grows while a database is loaded. The load writes its data to WAL about once, and
 * PostgreSQL keeps up to max_wal_size of it, which is a soft limit, and what it is told to keep:
 * https://www.postgresql.org/docs/current/wal-configuration.html. The sort of an index that does not fit into
 * maintenance_work_mem takes about as much as the index.
 */
export function growthOf(
  facts: SpaceFacts,
  load: LoadSize,
): { data: number; wal: number; temporary: number } {
  const empty = 8 * MIB; // CREATE DATABASE copies it through WAL
  const written = (load.database * 1.1 + empty) * (facts.hintsInWal ? 2 : 1) + facts.segment;
  const held = facts.archiveHolds || (facts.slotHolds && facts.slotLimit < 0);
  const limit = held
    ? Number.POSITIVE_INFINITY
    : facts.maxWal * 1.25 + Math.max(facts.keepWal, facts.slotHolds ? facts.slotLimit : 0);
  const unread = facts.slotHolds || facts.archiveHolds ? 0 : facts.walSpare;
  const wal = Math.max(facts.segment, Math.min(written - unread, limit - facts.walNow));
  const index = load.largestIndex ?? load.database / 4;
  const spills = index * 3 > load.memory; // a sort in memory takes more than the index on disk
  const temporary = spills ? Math.min(index * load.connections, load.database / 2) : 0;
  return { data: Math.max(load.database, empty), wal: Math.ceil(wal), temporary: Math.ceil(temporary) };
}

/**
 * @returns the directories of data, WAL and temporary files; none of a server on another host. One that is not visible,
 *   as it is inside of one that this user may not enter, counts as on the disk of the data directory
 */
export function pathsOf(postgres: Postgres, facts: SpaceFacts): string[] {
  const { directory, data, temporary } = facts;
  if (directory === null) return [];
  const paths = [data ?? directory, `${directory}/pg_wal`, ...(temporary ?? [data ?? directory])];
  const visible = visiblePaths(postgres, paths);
  return paths.map(path => (visible.includes(path) ? path : directory));
}

/** @returns what a load writes to PostgreSQL's disks, each with its reserve; none where they are not visible */
export async function usesOfLoad(postgres: Postgres, facts: SpaceFacts, load: LoadSize): Promise<Use[]> {
  const growth = growthOf(facts, load);
  const paths = pathsOf(postgres, facts);
  if (paths.length === 0) return [];
  const disks = await disksOf(postgres, paths);
  return disks.map((disk, i) => {
    const what = ['data', 'WAL'][i] ?? 'temporary files';
    const bytes = [growth.data, growth.wal][i] ?? growth.temporary;
    const ofData = disk.device === disks[0]!.device;
    const where = ofData ? 'the database’s disk' : `the disk of ${i === 1 ? 'pg_wal' : paths[i]}`;
    return { what, where, disk, bytes, reserve: reserveOf(disk.size, facts.segment) };
  });
}
