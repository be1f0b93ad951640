import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Exit, messageOf, OperationalError } from './errors.ts';
import { duration, utc } from './format.ts';
import { log } from './log.ts';
import { operator } from './run-history.ts';
import { CommandError, run } from './shell.ts';

interface Holder {
  pid: number;
  user: string;
  host: string;
  doing: string;
  since: string;
}

/**
 * Holds a lock of one environment while `work` runs. The kernel keeps it on a descriptor of this process and
 * frees it when the process dies, however it dies; children do not inherit it.
 *
 * @param name `<environment>` for all that changes its state; drills have one of their own, so that a long
 *   one never costs a backup
 * @throws exit code 75 when somebody else holds it: who, since when, doing what
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
      log.warn(`who holds ${path} can't be written there: ${messageOf(error)}`); // it is held all the same
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

async function acquire(descriptor: number, path: string): Promise<void> {
  try {
    await run(['flock', '-n', '0'], { purpose: 'lock ' + path, stdin: descriptor });
  } catch (error) {
    if (!(error instanceof CommandError) || error.status !== 1) throw error;
    throw new OperationalError(
      `another run holds ${path}: ${describeHolder(path)}`,
      'wait until it is over; a killed run frees the lock by itself.',
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
    return 'it has only just started'; // between taking the lock and writing its name
  }
}
