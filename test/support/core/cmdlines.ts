/*
 * A thread that reads the arguments of every process of the machine, over and over, as any user's `ps` could. It sees
 * what lives for long enough; recorded-programs.ts sees what is started by its name.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

export interface Seen {
  /** Arguments that held one of the secrets. */
  leaks: string[];
  /** The names of all programs seen. */
  programs: string[];
}

/** Reads arguments while `body` runs. @returns what was seen */
export async function watchArguments(secrets: string[], body: () => Promise<void>): Promise<Seen> {
  const worker = new Worker(new URL(import.meta.url), { workerData: secrets });
  const result = new Promise<Seen>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  try {
    await body();
  } finally {
    worker.postMessage('over');
  }
  return result;
}

function readAll(secrets: string[], leaks: Set<string>, programs: Set<string>): void {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      programs.add(text.split(' ')[0]!);
      if (secrets.some(secret => text.includes(secret))) leaks.add(text);
    } catch {} // it has ended
  }
}

/** Without it this thread would take a processor for itself. */
const PAUSE_MS = 250;

if (!isMainThread) {
  const leaks = new Set<string>();
  const programs = new Set<string>();
  let over = false;
  parentPort!.once('message', () => {
    over = true;
  });
  const next = () => {
    readAll(workerData as string[], leaks, programs);
    if (over) parentPort!.postMessage({ leaks: [...leaks], programs: [...programs] } satisfies Seen);
    else setTimeout(next, PAUSE_MS);
  };
  next();
}
