#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
/**
 * `npm run demo`: the production stack with the reference application on this machine, until Ctrl-C. This process gets
 * the Docker engine and returns it; `stack/lib/demo-stack.ts` is the rest, in a process group of its own: it removes the
 * stack when it ends, and a second Ctrl-C does not reach the commands that it does that with.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { leaseEngine } from './engine/lease.ts';
import { say } from './engine/process.ts';

let stopped: NodeJS.Signals | undefined;
let endStack = () => {};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopped) return;
    stopped = signal;
    say('\nRemoving the stack …');
    endStack();
  });
}

function runStack(): Promise<number> {
  return new Promise((resolve, reject) => {
    // Its input ends with this process, however that ends.
    const child = spawn(process.execPath, [join(import.meta.dirname, 'stack/lib/demo-stack.ts')], {
      stdio: ['pipe', 'inherit', 'inherit'],
      detached: true,
    });
    child.once('error', reject).once('close', code => resolve(code ?? 1));
    endStack = () => process.kill(-child.pid!, 'SIGTERM');
  });
}

async function main(): Promise<number> {
  say('Looking for a Docker engine …');
  const lease = await leaseEngine();
  const code = stopped ? 0 : await runStack();
  if (await lease.leave()) say('The Docker engine that was started for it has ended.');
  return code;
}

const code = await main().catch((error: Error) => {
  say(stopped ? 'Ended before the stack was started.' : error.message);
  return 1;
});
// Ctrl-C is how a demo ends.
process.exitCode = stopped && stopped !== 'SIGINT' ? 128 + constants.signals[stopped] : code;
