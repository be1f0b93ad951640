import { readFile, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

/** @returns this machine's memory in bytes: its size, and the kernel's estimate of what programs can get without swapping (`man proc_meminfo`) */
export async function readMemory(): Promise<{ available: number; total: number }> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024;
  return { available: of('MemAvailable'), total: of('MemTotal') };
}

export interface Disk {
  /** `st_dev`: two paths with the same one share their free space. */
  device: number;
  /** Bytes that a process without privileges can still write. */
  free: number;
  /** Bytes of the whole file system. */
  size: number;
}

/**
 * @returns the disk of `path`, or of the nearest directory above that exists and may be looked at
 * @throws the error of the operating system for any other reason
 */
export async function diskOf(path: string): Promise<Disk> {
  try {
    const [{ dev }, { bavail, blocks, bsize }] = await Promise.all([stat(path), statfs(path)]);
    return { device: dev, free: bavail * bsize, size: blocks * bsize };
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['ENOENT', 'EACCES'].includes(code) || path === dirname(path)) throw error;
    return diskOf(dirname(path));
  }
}
