/** Runs one hook as a process that ends with its run, whatever it does. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { ROOT } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { collectOutput } from './hook-output.ts';

/** Seconds between SIGTERM and SIGKILL. */
const GRACE_SECONDS = 5;
/** Milliseconds: a longer timer would fire at once. https://nodejs.org/api/timers.html#settimeoutcallback-delay-args */
const LONGEST_TIMER = 2 ** 31 - 1;
/** Seconds for what is still in a pipe when all its writers have been ended. */
const DRAIN_SECONDS = 1;

/*
 * Descriptor 3 is a pipe that only the script holds open. When the script ends, even if it is killed, the watcher ends the
 * hook's process group, then what has left the group: that has the hook's own HOOK_ID in its environment. The watcher is
 * no child of the hook, which may wait for all of its own.
 */
const START = `
((
  exec <&- >&- 2>&-
  trap '' TERM INT HUP
  read -r _ <&3
  kill -TERM 0
  sleep ${GRACE_SECONDS}
  for environment in $(grep -lsF "HOOK_ID=$2" /proc/[0-9]*/environ); do
    process=\${environment#/proc/}
    kill -KILL "\${process%/environ}"
  done
  kill -KILL 0
) &)
exec 3<&-
HOOK_ID=$2 exec "$1"
`;

export interface HookEnd {
  status: number | null;
  signal: NodeJS.Signals | null;
  timedOut: boolean;
  /** What it wrote, without control characters, shortened in the middle. */
  output: string;
}

/**
 * Runs a program with `input` on its standard input. When it has ended, so has all that it started.
 *
 * @param environment all of its environment; nothing of this process's is added but HOOK_ID
 * @param seconds until it gets SIGTERM, and SIGKILL 5 s later
 * @param until ends it in the same way
 * @throws OperationalError where there is no bash
 */
export async function runToEnd(
  path: string,
  input: string,
  environment: Record<string, string>,
  { seconds, until }: { seconds: number; until: AbortSignal },
): Promise<HookEnd> {
  const id = randomUUID();
  const child = spawn('bash', ['--noprofile', '--norc', '-c', START, 'bash', path, id], {
    cwd: ROOT,
    env: environment,
    detached: true, // in a process group of its own
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const [stdin, stdout, stderr] = child.stdio;
  stdin!.on('error', () => {}); // a hook need not read it
  stdin!.end(input);
  const collected = collectOutput([stdout!, stderr!]);
  let timedOut = false;
  let killer: NodeJS.Timeout | undefined;
  const end = () => {
    signalGroup(child.pid, 'SIGTERM');
    killer ??= setTimeout(() => signalGroup(child.pid, 'SIGKILL'), GRACE_SECONDS * 1000);
  };
  const timer = setTimeout(
    () => {
      timedOut = true;
      end();
    },
    Math.min(seconds * 1000, LONGEST_TIMER),
  );
  until.addEventListener('abort', end, { once: true });
  if (until.aborted) end();
  try {
    const [status, signal] = await ended.catch(error => {
      throw new OperationalError(`could not start bash: ${messageOf(error)}`, 'install it, or correct PATH.');
    });
    return { status, signal, timedOut, output: await outputOf() };
  } finally {
    clearTimeout(timer);
    clearTimeout(killer);
    until.removeEventListener('abort', end);
    for (const stream of child.stdio) stream?.destroy();
  }

  async function outputOf(): Promise<string> {
    signalGroup(child.pid, 'SIGKILL'); // what it left, and the watcher
    await endStrays(id);
    const closed = [stdout!, stderr!].map(each => each.closed || once(each as Readable, 'close'));
    await Promise.race([Promise.all(closed), delay(DRAIN_SECONDS * 1000, undefined, { ref: false })]);
    return collected();
  }
}

function signalGroup(group: number | undefined, name: NodeJS.Signals): void {
  try {
    if (group) process.kill(-group, name);
  } catch {} // it has ended
}

/** Ends what has left the hook's process group, as `setsid` and `daemonize` do, until there is nothing more of it. */
async function endStrays(id: string): Promise<void> {
  const mark = `HOOK_ID=${id}\0`;
  for (let round = 0; round < 100; round++) {
    const strays = processes().filter(pid => environmentOf(pid).includes(mark));
    if (strays.length === 0) return;
    for (const pid of strays) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {} // it has ended
    }
    await delay(10);
  }
}

function processes(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return []; // a system without it
  }
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return ''; // of another user, or ended
  }
}
