/** Files that an operator has made and a script changes: the env file, Nginx's lists of servers. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { PARTIAL } from './files.ts';

/**
 * Changes the content of an existing file, and nothing else of it: a symbolic link still leads to it; mode, owner, group,
 * access list and other names (hard links) stay. It is replaced as a whole where that keeps all of these. Otherwise it is
 * overwritten, as a single file mounted into a container or a file of another user in one's group must be: then a power loss
 * at this moment can leave some of both contents, a kill of this process or a full disk can't.
 *
 * @throws an error of the file system; the file is then as it was
 */
export async function rewrite(path: string, content: string | Buffer): Promise<void> {
  const file = realpathSync(path);
  const bytes = Buffer.from(content);
  const before = statSync(file);
  if (before.nlink > 1 || !replace(file, before, bytes)) overwrite(file, bytes);
}

/**
 * Makes a file that only its owner can read, as a whole. Where the path is a symbolic link that leads nowhere, the file is made
 * where it leads.
 *
 * @param owner whom the file belongs to, where root makes it
 * @throws an error of the file system; there is no file then
 */
export function create(path: string, content: string, owner: Pick<Stats, 'uid' | 'gid'>): void {
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink();
  const file = isLink ? resolve(dirname(path), readlinkSync(path)) : path;
  const partial = file + PARTIAL;
  rmSync(partial, { force: true });
  try {
    const descriptor = openSync(partial, 'wx', 0o600);
    try {
      if (process.geteuid?.() === 0) fchownSync(descriptor, owner.uid, owner.gid);
      writeAll(descriptor, Buffer.from(content));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
  syncDirectory(dirname(file));
}

/** No right to the directory or the owner, or a file that is a mount. */
const CANT_REPLACE = ['EACCES', 'EPERM', 'EBUSY', 'EXDEV', 'EROFS'];

/** @returns false where the file can't be replaced, or its replacement can't have its owner and group */
function replace(file: string, before: Stats, bytes: Buffer): boolean {
  const partial = file + PARTIAL;
  try {
    rmSync(partial, { force: true }); // of a killed run; a link there is not followed
    const descriptor = openSync(partial, 'wx', 0o600);
    try {
      takeAttributes(descriptor, partial, file, before);
      writeAll(descriptor, bytes);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(partial, file);
  } catch (error) {
    if (!CANT_REPLACE.includes((error as NodeJS.ErrnoException).code!)) {
      rmSync(partial, { force: true });
      throw error;
    }
    try {
      rmSync(partial, { force: true });
    } catch {} // a directory that can't be written has none
    return false;
  }
  syncDirectory(dirname(file));
  return true;
}

function takeAttributes(descriptor: number, partial: string, file: string, before: Stats): void {
  const { uid, gid } = fstatSync(descriptor);
  if (uid !== before.uid || gid !== before.gid) fchownSync(descriptor, before.uid, before.gid);
  fchmodSync(descriptor, before.mode & 0o7777);
  // Access lists and other attributes, for which Node has no function. Where cp has no such option there are none to keep.
  spawnSync('cp', ['--attributes-only', '--preserve=all', '--', file, partial], { stdio: 'ignore' });
}

function overwrite(file: string, bytes: Buffer): void {
  const before = readFileSync(file);
  const descriptor = openSync(file, 'r+');
  try {
    // In one write, so that no kill comes between. Behind a shorter text stand empty lines until the file is cut.
    const padding = Buffer.alloc(Math.max(0, before.length - bytes.length), '\n');
    try {
      writeAll(descriptor, Buffer.concat([bytes, padding]));
    } catch (error) {
      ftruncateSync(descriptor, before.length); // it grows only when the disk is not full
      writeAll(descriptor, before);
      throw error;
    }
    if (padding.length > 0) ftruncateSync(descriptor, bytes.length);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** From the start of the file. A write that a full disk cuts short is continued, and then fails. */
function writeAll(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at, at);
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
