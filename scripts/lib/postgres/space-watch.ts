/** Ends work that writes to the live database's disks before their reserve is used up. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Postgres } from '../config/config.ts';
import { DISK_FULL_HINT, messageOf, OperationalError } from '../core/errors.ts';
import { bytes } from '../core/format.ts';
import { log } from '../core/log.ts';
import { type Disk, diskOf } from '../core/machine.ts';
import { literal } from './client.ts';
import { maintenanceOf } from './databases.ts';
import { disksOf, reserveOf } from './disk-space.ts';
import { pathsOf, type SpaceFacts } from './load-space.ts';
import { query } from './query.ts';

/** How long ended sessions may take to be gone, in seconds: the end of a transaction removes its files. */
const GONE = 60;

/** Bytes a second that no disk of such a server is filled faster than. */
const FASTEST = 2 * 1024 ** 3;

/** Seconds to the next look on this host, which costs next to nothing, where so many bytes are left above the reserve. */
const pauseHere = (left: number) => Math.min(0.1, Math.max(0.01, left / FASTEST));

interface Watch {
  paths: string[];
  look: (paths: string[]) => Promise<Disk[]>;
  /** Seconds between two looks, where so many bytes are left above the reserve. */
  pause: (left: number) => number;
  segment: number;
  /** What is ended, for the message: `loading app_new`. */
  what: string;
  /** Ends what goes on in the server; called until the work is over and it returns true. */
  end: () => Promise<boolean>;
}

/**
 * Loads into `database` while the disks of PostgreSQL are watched. If their reserve is reached, `until` is aborted, and
 * the sessions of that database are ended and seen to be gone. The caller drops the database.
 *
 * @throws OperationalError when the load was ended; else the error of the load
 */
export function watchLoad<T>(
  postgres: Postgres,
  facts: SpaceFacts,
  database: string,
  load: (until: AbortSignal) => Promise<T>,
): Promise<T> {
  const paths = pathsOf(postgres, facts);
  if (paths.length === 0) return load(new AbortController().signal);
  const end = async () => (await endSessions(postgres, database)) === 0;
  const { segment } = facts;
  return watch(
    {
      paths,
      look: paths => disksOf(postgres, paths),
      pause: left => (postgres.container ? Math.min(2, Math.max(0.5, left / FASTEST)) : pauseHere(left)),
      segment,
      what: `loading ${database}`,
      end,
    },
    load,
  );
}

/** Writes to `path` on this host in the same way. Undefined facts: nothing else needs its disk, and nothing is watched. */
export function watchWriting<T>(
  path: string,
  facts: SpaceFacts | undefined,
  what: string,
  write: (until: AbortSignal) => Promise<T>,
): Promise<T> {
  if (!facts) return write(new AbortController().signal);
  return watch(
    {
      paths: [path],
      look: paths => Promise.all(paths.map(diskOf)),
      pause: pauseHere,
      segment: facts.segment,
      what,
      end: async () => true,
    },
    write,
  );
}

async function watch<T>(
  { paths, look, pause, segment, what, end }: Watch,
  work: (until: AbortSignal) => Promise<T>,
): Promise<T> {
  const full = new AbortController();
  const over = new AbortController();
  const looking = async () => {
    while (!over.signal.aborted) {
      const disks = await look(paths);
      const left = disks.map(({ free, size }) => free - reserveOf(size, segment));
      const least = left.indexOf(Math.min(...left));
      if (left[least]! < 0) {
        full.abort(endedFor(what, paths[least]!, disks[least]!, segment));
        break;
      }
      await delay(pause(left[least]!) * 1000, undefined, { signal: over.signal }).catch(() => {});
    }
    if (!full.signal.aborted) return;
    const deadline = () => performance.now() > since + GONE * 1000;
    let since = performance.now();
    over.signal.addEventListener('abort', () => {
      since = performance.now();
    });
    while (!(await end()) || !over.signal.aborted) {
      if (over.signal.aborted && deadline()) throw new Error(`its sessions are still there after ${GONE} s`);
      await delay(100);
    }
  };
  const watched = looking().catch(error => {
    log.warn(`the free space is not watched any longer: ${messageOf(error)}`);
  });
  try {
    return await work(full.signal);
  } catch (error) {
    full.signal.throwIfAborted(); // that it was ended says more
    throw error;
  } finally {
    over.abort();
    await watched;
    full.signal.throwIfAborted();
  }
}

function endedFor(what: string, path: string, { free, size }: Disk, segment: number): OperationalError {
  return new OperationalError(
    `${what} was ended: the disk of ${path} has ${bytes(free)} free, and ${bytes(reserveOf(size, segment))} stay free for the live database`,
    `the live database is unchanged. ${DISK_FULL_HINT[0]!.toUpperCase()}${DISK_FULL_HINT.slice(1)}`,
  );
}

/** Ends the sessions of clients. @returns how many there still were */
async function endSessions(postgres: Postgres, database: string): Promise<number> {
  const rows = await query<{ pid: number }>(
    postgres,
    maintenanceOf(postgres),
    `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = ${literal(database)} AND backend_type IN ('client backend', 'parallel worker')`,
    { evenInterrupted: true },
  );
  return rows.length;
}
