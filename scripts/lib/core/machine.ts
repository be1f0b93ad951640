import { readFile, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DISK_FULL_HINT, OperationalError } from './errors.ts';
import { bytes } from './format.ts';

/** @returns this machine's memory in bytes: its size, and the kernel's estimate of what programs can get without swapping (`man proc_meminfo`) */
export async function readMemory(): Promise<{ available: number; total: number }> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024;
  return { available: of('MemAvailable'), total: of('MemTotal') };
}

/** @returns the bytes that this process can still write below `path`, or below the nearest directory that exists */
export async function freeSpace(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === dirname(path)) throw error;
    return freeSpace(dirname(path));
  }
}

/** @throws OperationalError when `free` bytes are fewer than `needed` */
export function enoughSpace(where: string, free: number, needed: number): void {
  if (free >= needed) return;
  throw new OperationalError(
    `${where} has ${bytes(free)} free, and about ${bytes(needed)} are needed`,
    DISK_FULL_HINT,
  );
}
