import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { OperationalError } from '../core/errors.ts';
import { stamp } from '../core/format.ts';
import { CommandError, sh } from '../core/shell.ts';
import { sleep } from '../core/signals.ts';

/*
 * Commands that outlive the connection that started them. `<verb>-<stamp>-<id>.log` has the output, and
 * `<verb>-<stamp>-<id>.exit` the exit code after its end. Until then the run holds a lock on the latter, which the
 * kernel frees when the run ends, even if it is killed: process ids, which are reused, play no part.
 */

interface Run {
  verb: string;
  /** Its name, given by the caller. */
  id: string;
  /** The path of both files, without `.log` and `.exit`. */
  path: string;
}

const FILE = /^([a-z]+)-\d{8}_\d{6}-([A-Za-z0-9-]+)\.exit$/;

/** Descriptor 3 is the locked file. The script inherits it; Node does not pass it on to its children. */
const KEEP_EXIT_CODE = '"$@"; echo "$?" >&3';

/** @returns the runs of a directory, the latest start or end first */
export function detachedRuns(directory: string): Run[] {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return readdirSync(directory)
    .flatMap(file => {
      const [, verb, id] = FILE.exec(file) ?? [];
      const path = join(directory, file.slice(0, -'.exit'.length));
      return verb && id ? [{ verb, id, path, time: statSync(`${path}.exit`).mtimeMs }] : [];
    })
    .sort((a, b) => b.time - a.time);
}

/** Number of runs whose files are kept. */
const MAX_RUNS = 100;

/** Deletes the files of the oldest runs. */
export function forgetOldRuns(directory: string): void {
  for (const { path } of detachedRuns(directory).slice(MAX_RUNS))
    for (const file of [`${path}.log`, `${path}.exit`]) rmSync(file, { force: true });
}

/** Starts a command in a session of its own, so that signals to this process do not reach it. */
export async function startDetached(
  directory: string,
  verb: string,
  id: string,
  argv: string[],
): Promise<Run> {
  const path = join(directory, `${verb}-${stamp(new Date())}-${id}`);
  const exit = openSync(`${path}.exit`, 'wx', 0o600);
  const output = openSync(`${path}.log`, 'wx', 0o600);
  try {
    await sh(`lock ${path}.exit`, { stdin: exit })`flock -n 0`;
    const child = spawn('sh', ['-c', KEEP_EXIT_CODE, 'sh', ...argv], {
      detached: true,
      stdio: ['ignore', output, output, exit],
    });
    await once(child, 'spawn');
    child.unref();
  } finally {
    closeSync(exit);
    closeSync(output);
  }
  return { verb, id, path };
}

/** @returns whether the run has not ended yet */
export async function isRunning({ path }: Run): Promise<boolean> {
  if (statSync(`${path}.exit`).size > 0) return false;
  try {
    await sh(`check ${path}.exit`)`flock -n -s ${path}.exit true`;
    return false;
  } catch (error) {
    if (error instanceof CommandError && error.status === 1) return true;
    throw error;
  }
}

/**
 * Shows a run's output from its beginning to its end on stdout.
 * @returns its exit code
 * @throws OperationalError when it ended without one, for example by a reboot
 */
export async function follow({ verb, path }: Run): Promise<number> {
  const output = openSync(`${path}.log`, 'r');
  const unlocked = sh(`wait for the end of ${path}`, { timeout: Infinity })`flock -s ${path}.exit true`;
  let over = false;
  const settle = () => {
    over = true;
  };
  unlocked.then(settle, settle);
  while (!over) {
    await show(output);
    await sleep(0.1);
  }
  await unlocked;
  await show(output);
  const exitCode = readFileSync(`${path}.exit`, 'utf8').trim();
  if (exitCode !== '') return Number(exitCode);
  throw new OperationalError(
    `this ${verb} ended without an exit code: it was killed, or the server was restarted`,
    `run ${verb} again on the server: it shows what is unfinished and how to continue.`,
  );
}

/** Copies new output to stdout, no faster than it is read there. */
async function show(file: number): Promise<void> {
  const chunk = Buffer.alloc(65_536);
  for (;;) {
    const length = readSync(file, chunk);
    if (length === 0) return;
    await new Promise(resolve => process.stdout.write(chunk.subarray(0, length), resolve));
  }
}
