import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, OperationalError } from './errors.ts';

/** The suffix of incomplete files. Those of a run that has ended can be deleted. */
export const PARTIAL = '.partial';

/** Flushes a file's content, or a directory's entries, to disk, so that they survive a power loss. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
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

/** Creates a directory that only its owner can enter. @throws OperationalError when it is not writable */
export async function privateDirectory(path: string, name: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const { mode } = await stat(path);
    if (mode & 0o077) await chmod(path, 0o700);
    const probe = `${path}/.probe${PARTIAL}`; // one name for all runs: each deletes what a killed one left
    await rm(probe, { force: true });
    const handle = await open(probe, 'w', 0o600);
    await handle.close();
    await rm(probe, { force: true });
  } catch (error) {
    throw new OperationalError(
      `${name} (${path}) can't be written: ${messageOf(error)}`,
      `make it writable for this user, or set ${name} to another directory.`,
    );
  }
}
