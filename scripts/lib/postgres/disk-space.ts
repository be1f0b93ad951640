/** Disks that PostgreSQL and the scripts share. */
import { existsSync } from 'node:fs';
import type { Postgres } from '../config/config.ts';
import { DISK_FULL_HINT, OperationalError } from '../core/errors.ts';
import { bytes } from '../core/format.ts';
import { type Disk, diskOf } from '../core/machine.ts';
import { run } from '../core/shell.ts';
import { client } from './client.ts';

const MIB = 1024 * 1024;

/** In the container: device, free and whole bytes of each path. */
const DISKS =
  'set -eo pipefail; for path; do stat -L -c %d "$path"; df --output=avail,size --block-size=1 "$path" | tail -n 1; done';

/**
 * @returns the disks of `paths`, which PostgreSQL's programs see: in the container, if they run there. A directory that
 *   this user may not enter counts as on the disk of the one above
 * @throws CommandError where a container has no such path
 */
export async function disksOf(postgres: Postgres, paths: string[]): Promise<Disk[]> {
  if (!postgres.container) return Promise.all(paths.map(diskOf));
  const { argv, env } = client(postgres, ['bash', '-c', DISKS, 'disks', ...paths]);
  const text = await run(argv, { env, purpose: `find the free space of ${paths.join(', ')}` });
  const numbers = text.trim().split(/\s+/).map(Number);
  return paths.map((_, i) => ({
    device: numbers[3 * i]!,
    free: numbers[3 * i + 1]!,
    size: numbers[3 * i + 2]!,
  }));
}

/** @returns those of `paths` that PostgreSQL's programs can see: none of a server on another host */
export function visiblePaths(postgres: Postgres, paths: string[]): string[] {
  return postgres.container ? paths : paths.filter(path => existsSync(path));
}

/**
 * What stays free for the live database on its disks: 2 % of the disk, at least 256 MiB or a tenth of a small disk, at
 * most 2 GiB; and always two segments of WAL, without which PostgreSQL stops with PANIC.
 *
 * @param size bytes of the disk
 * @param segment bytes of a segment of WAL
 */
export function reserveOf(size: number, segment: number): number {
  const share = Math.min(2048 * MIB, Math.max(size / 50, Math.min(256 * MIB, size / 10)));
  return Math.ceil(Math.max(share, 2 * segment));
}

/** Bytes that one work is going to write to a disk. */
export interface Use {
  /** For the message: `WAL`. */
  what: string;
  /** For the message: `the database’s disk`. */
  where: string;
  disk: Disk;
  bytes: number;
  /** Set where the live database writes to this disk, too: bytes that stay free for it. */
  reserve?: number;
}

/** @returns bytes left on each disk after all uses of it and its reserve, by device; negative: too little */
export function leftAfter(uses: Use[]): Map<number, { free: number; needed: number; uses: Use[] }> {
  const disks = Map.groupBy(uses, ({ disk }) => disk.device);
  return new Map(
    [...disks].map(([device, of]) => {
      const reserve = Math.max(...of.map(({ reserve = 0 }) => reserve));
      const needed = of.reduce((sum, use) => sum + use.bytes, reserve);
      return [device, { free: Math.min(...of.map(({ disk }) => disk.free)), needed, uses: of }];
    }),
  );
}

/** @throws OperationalError that names each disk with too little space, and what the space is for */
export function refuseShortage(uses: Use[]): void {
  const short = [...leftAfter(uses).values()].filter(({ free, needed }) => free < needed);
  if (short.length === 0) return;
  const lines = short.map(({ free, needed, uses }) => {
    const where = [...new Set(uses.map(each => each.where))].join(' and ');
    const reserve = Math.max(...uses.map(each => each.reserve ?? 0));
    const parts = uses
      .filter(each => each.bytes > 0)
      .map(({ what, bytes: size }) => `${bytes(size)} for ${what}`);
    if (reserve > 0) parts.push(`${bytes(reserve)} that stay free for the live database`);
    const sum = parts.length > 1 ? `: ${parts.join(', ')}` : '';
    return `${where} has ${bytes(free)} free, and about ${bytes(needed)} are needed${sum}`;
  });
  throw new OperationalError(lines.join('; '), DISK_FULL_HINT);
}
