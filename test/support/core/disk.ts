import { execFileSync } from 'node:child_process';
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Runs `body` with a small disk of its own mounted at `path`. Needs root and the right to mount: without, it
 * throws.
 * @param bytes its size, or undefined for a disk that can't be written at all
 */
export async function withDisk(
  path: string,
  bytes: number | undefined,
  body: () => Promise<void>,
): Promise<void> {
  mkdirSync(path, { recursive: true });
  const options = bytes === undefined ? 'size=64k,ro' : `size=${bytes}`;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `${options},mode=700`, 'tmpfs', path], { stdio: 'pipe' });
  } catch (error) {
    throw new Error(`this test mounts a tmpfs, as root: ${(error as Error).message}`);
  }
  try {
    await body();
  } finally {
    execFileSync('umount', ['--lazy', path]);
  }
}

/** Fills a disk to its last block but `spare` bytes. @returns the file that does it */
export function fill(path: string, spare = 0): string {
  const { bavail, bsize } = statfsSync(path);
  const filler = join(path, 'filler');
  writeFileSync(filler, Buffer.alloc(bavail * bsize - spare));
  return filler;
}

/** Makes the disk that {@link withDisk} mounted at `path` larger or smaller, so that `bytes` are free. */
export function leaveFree(path: string, bytes: number): void {
  const { blocks, bfree, bsize } = statfsSync(path);
  const size = (blocks - bfree) * bsize + bytes;
  execFileSync('mount', ['-o', `remount,size=${size}`, path], { stdio: 'pipe' });
}
