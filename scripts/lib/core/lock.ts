import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Exit, messageOf, OperationalError } from './errors.ts';
import { duration, utc } from './format.ts';
import { log } from './log.ts';
import { operator } from './run-history.ts';
import { CommandError, type RunOptions, run } from './shell.ts';

interface Holder {
  pid: number;
  user: string;
  host: string;
  doing: string;
  since: string;
}

/**
 * Holds a lock of one environment while `work` runs. It belongs to a descriptor of this process, so the kernel frees it
 * when the process ends, even if it is killed; children do not inherit it.
 *
 * @param name `<environment>` for all that changes its state; drills have a lock of their own, so that a long one never
 *   prevents a backup
 * @throws OperationalError with exit code 75 when another process holds it: who, since when, doing what
 */
export async function withLock<T>(
  stateDir: string,
  name: string,
  doing: string,
  work: () => Promise<T>,
): Promise<T> {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const path = join(stateDir, `${name}.lock`);
  const descriptor = openSync(path, 'a+', 0o600);
  try {
    await acquire(descriptor, path);
    const holder: Holder = {
      pid: process.pid,
      user: operator(),
      host: hostname(),
      doing,
      since: new Date().toISOString(),
    };
    ftruncateSync(descriptor);
    try {
      writeSync(descriptor, JSON.stringify(holder));
    } catch (error) {
      log.warn(`can't write the holder of the lock to ${path}: ${messageOf(error)}`); // the lock is held anyway
    }
    try {
      return await work();
    } finally {
      ftruncateSync(descriptor);
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Like {@link withLock}; a run that only looks takes no lock, because it makes no file and waits for no one. */
export function withLockUnless<T>(
  looking: boolean | undefined,
  ...[stateDir, name, doing, work]: Parameters<typeof withLock<T>>
): Promise<T> {
  return looking ? work() : withLock(stateDir, name, doing, work);
}

/**
 * Runs `work` while this process holds the lock of a file, after waiting at most `seconds` for another process.
 * @throws CommandError when the other process still holds it
 */
export async function withFileLock<T>(
  path: string,
  seconds: number,
  options: Pick<RunOptions, 'purpose' | 'hint' | 'evenInterrupted'>,
  work: () => Promise<T>,
): Promise<T> {
  const descriptor = openSync(path, 'a', 0o600);
  try {
    const wait = { ...options, stdin: descriptor, timeout: seconds + 10 };
    await run(['flock', '-w', String(seconds), '0'], wait);
    return await work();
  } finally {
    closeSync(descriptor); // the kernel frees the lock with it
  }
}

async function acquire(descriptor: number, path: string): Promise<void> {
  try {
    await run(['flock', '-n', '0'], { purpose: 'lock ' + path, stdin: descriptor });
  } catch (error) {
    if (!(error instanceof CommandError) || error.status !== 1) throw error;
    throw new OperationalError(
      `another run holds ${path}: ${describeHolder(path)}`,
      process.env.HOOK
        ? `the hook ${process.env.HOOK} of that run started this one and waits for it: start it by the schedule or by hand.`
        : 'wait until it is over; a killed run frees the lock by itself.',
      Exit.locked,
    );
  }
}

function describeHolder(path: string): string {
  try {
    const { pid, user, host, doing, since } = JSON.parse(readFileSync(path, 'utf8')) as Holder;
    const age = duration((Date.now() - Date.parse(since)) / 1000);
    return `${doing}, by ${user} on ${host}, process ${pid}, since ${utc(since)} (${age})`;
  } catch {
    return 'a run that has just started, or another program'; // that has not written, or does not write, its name
  }
}
