import { createHash } from 'node:crypto';
import { constants, createReadStream, type Stats } from 'node:fs';
import { access, chmod, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { word } from './command-line.ts';
import { messageOf, OperationalError } from './errors.ts';

/** The suffix of incomplete files. Those of a run that has ended can be deleted. */
export const PARTIAL = '.partial';

const STICKY = 0o1000;

/** Flushes a file's content, or a directory's entries, to disk, so that they survive a power loss. */
export async function sync(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

/** Flushes the content of `<path>.partial`, renames it to `path`, and flushes the directory. */
export async function publish(path: string): Promise<void> {
  await sync(path + PARTIAL);
  await rename(path + PARTIAL, path);
  await sync(dirname(path));
}

/**
 * Writes a small file completely or not at all. A replaced file keeps its owner, so that its user can still read it after a
 * run as root.
 *
 * @param mode by default, only the owner can read the file
 */
export async function writeWhole(path: string, text: string | Buffer, mode = 0o600): Promise<void> {
  const before = await stat(path).catch(() => undefined);
  const handle = await open(path + PARTIAL, 'w', mode);
  try {
    await handle.chmod(mode); // independent of the umask and of a file that a killed run left
    if (before && process.getuid?.() === 0) await handle.chown(before.uid, before.gid);
    await handle.writeFile(text);
  } catch (error) {
    await rm(path + PARTIAL, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await publish(path);
}

/**
 * Checks whether this user can write a file or the entries of a directory. What does not exist yet is no problem.
 * @param purpose what is written there: `switch the maintenance page on`
 * @throws OperationalError
 */
export async function refuseUnwritablePath(path: string, purpose: string): Promise<void> {
  try {
    const found = await stat(path).catch(ignoreMissing);
    if (found) await access(path, constants.W_OK | (found.isDirectory() ? constants.X_OK : 0));
  } catch (error) {
    throw new OperationalError(
      `can't ${purpose}: ${messageOf(error)}`,
      'run as its owner, or correct its owner and mode.',
    );
  }
}

/** @returns the SHA-256 of a file in hexadecimal, read once, in constant memory */
export async function sha256(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const stream = createReadStream(path, { highWaterMark: 1 << 20, ...(signal ? { signal } : {}) });
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** @returns the size in bytes, or undefined if there is no such file */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether a file or directory of this name belongs to these scripts. */
type IsOurs = (entry: string) => boolean;

/**
 * Creates a directory that only its owner can enter. An existing one that others can enter gets this mode only if all
 * that is in it belongs to these scripts: the mode of `/tmp` or `/var/backups` is not theirs to change.
 *
 * @throws OperationalError when it is not writable, or holds what belongs to others
 */
export async function privateDirectory(path: string, name: string, isOurs: IsOurs): Promise<void> {
  await checkDirectory(path, name, isOurs);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const { mode } = await stat(path);
    if (mode & 0o077) await chmod(path, 0o700);
    const probe = `${path}/.probe${PARTIAL}`; // one name for all runs: each deletes what a killed one left
    await rm(probe, { force: true });
    await writeFile(probe, '', { mode: 0o600 });
    await rm(probe, { force: true });
  } catch (error) {
    throw unwritable(path, name, error);
  }
}

/**
 * Checks what {@link privateDirectory} checks, and changes nothing.
 * @throws OperationalError as {@link privateDirectory}
 */
export async function checkDirectory(path: string, name: string, isOurs: IsOurs): Promise<void> {
  let found: Stats | undefined;
  try {
    found = await stat(path).catch(ignoreMissing);
    if (!found) return await checkParent(path);
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unwritable(path, name, error);
  }
  if (!found.isDirectory())
    throw new OperationalError(`${name} (${path}) is not a directory`, `set ${name} to a directory.`);
  if (!(found.mode & 0o077)) return;
  const hint = `set ${name} to a directory of its own. If this one is for these scripts alone: chmod 700 ${word(path)}`;
  if (found.mode & STICKY)
    throw new OperationalError(`${name} (${path}) is shared by all users, like /tmp`, hint);
  const foreign = (await readdir(path)).find(entry => !isOurs(entry));
  if (foreign !== undefined)
    throw new OperationalError(
      `${name} (${path}) can be entered by other users and holds other files, such as ${foreign}`,
      hint,
    );
}

/** A directory that does not exist is made in the nearest one that does. */
async function checkParent(path: string): Promise<void> {
  const parent = dirname(path);
  if (!(await stat(parent).catch(ignoreMissing))) return checkParent(parent);
  await access(parent, constants.W_OK | constants.X_OK);
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

function unwritable(path: string, name: string, error: unknown): OperationalError {
  return new OperationalError(
    `${name} (${path}) can't be written: ${messageOf(error)}`,
    `make it writable for this user, or set ${name} to another directory.`,
  );
}
