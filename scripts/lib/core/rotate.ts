/**
 * Files that grow by a line at a time: `x.log` that has reached its limit becomes `x.log.1`, `x.log.1` becomes `x.log.2`,
 * and the oldest is replaced. They are not compressed: a process that has opened the file still writes to `x.log.1`.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
} from 'node:fs';
import { word } from './command-line.ts';
import { messageOf } from './errors.ts';
import { bytes } from './format.ts';

export interface Bounds {
  /** Bytes from which on a file is rotated before the next line. */
  limit: number;
  /** Number of older files that are kept. */
  older: number;
}

/** A file of this many times its limit was not written under these rules, and stays on disk for long: it is named. */
const HUGE = 10;

const told = new Set<string>();

/**
 * Rotates a file that has reached its limit. Of two processes one rotates, under a lock of the file itself, which the kernel
 * frees; a kill at any step loses no line. The new file has the mode and the group of the old one. Reads none of it.
 *
 * Left as they are: a symbolic link and another user's file, which belong to someone else's rules; a file that can't be
 * renamed.
 *
 * @returns what the operator has to know, once a process and file
 */
export function rotateLarge(path: string, { limit, older }: Bounds): string | undefined {
  const tell = (text: string) => {
    if (told.has(path)) return undefined;
    told.add(path);
    return text;
  };
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!found) {
      continueAfter(path); // a run was killed after it had renamed the file
      return undefined;
    }
    const { size } = found.isSymbolicLink() ? statSync(path) : found;
    if (size < limit) return undefined;
    const obstacle = obstacleOf(found);
    if (obstacle) return tell(notRotated(path, size, obstacle));
    if (!rotate(path, found, older) || size < HUGE * limit) return undefined;
    return `${path} had ${bytes(size)} and is now ${path}.1\n  → when it is not needed: rm ${word(`${path}.1`)}`;
  } catch (error) {
    return tell(notRotated(path, undefined, messageOf(error)));
  }
}

function notRotated(path: string, size: number | undefined, why: string): string {
  const grown = size === undefined ? '' : ` (${bytes(size)})`;
  return `${path}${grown} is not rotated: ${why}\n  → it grows without a limit: rotate or delete it yourself.`;
}

function obstacleOf(found: Stats): string | undefined {
  if (found.isSymbolicLink()) return 'it is a symbolic link';
  if (!found.isFile()) return 'it is not a regular file';
  return isOwn(found) ? undefined : `it belongs to another user (uid ${found.uid})`;
}

const isOwn = ({ uid }: Stats) => uid === process.geteuid?.();

/** @returns false where another process rotates the file, or has rotated it since `found` */
function rotate(path: string, found: Stats, older: number): boolean {
  const file = openExisting(path);
  if (file === undefined) return false;
  try {
    const { status, error } = spawnSync('flock', ['-n', '0'], { stdio: [file, 'ignore', 'ignore'] });
    if (error) throw error;
    const now = lstatSync(path, { throwIfNoEntry: false });
    // The lock is that of the open file: what has this name now may be another.
    if (status !== 0 || now?.ino !== fstatSync(file).ino || now.ino !== found.ino) return false;
    for (let at = older - 1; at > 0; at--) renameExisting(`${path}.${at}`, `${path}.${at + 1}`);
    renameSync(path, `${path}.1`); // the last step: only now can there be a new file, which another process may rotate
  } finally {
    closeSync(file);
  }
  continueAfter(path);
  return true;
}

/** @returns undefined: another process has renamed it, and the new one is not there yet */
function openExisting(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function renameExisting(from: string, to: string): void {
  if (lstatSync(from, { throwIfNoEntry: false })) renameSync(from, to);
}

/** Creates the file that follows `<path>.1`, with its mode and group. Where that fails, whoever writes next creates it. */
function continueAfter(path: string): void {
  try {
    const before = lstatSync(`${path}.1`, { throwIfNoEntry: false });
    if (!before?.isFile() || !isOwn(before)) return;
    const mode = before.mode & 0o777;
    const file = openSync(path, 'a', mode);
    try {
      fchmodSync(file, mode); // independent of the umask
      if (fstatSync(file).gid !== before.gid) fchownSync(file, before.uid, before.gid);
    } finally {
      closeSync(file);
    }
  } catch {}
}
