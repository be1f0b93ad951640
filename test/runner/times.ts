/** What each test file took when it last ran, so that the longest start first and the rest can be estimated. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CACHE } from '../engine/engine.ts';
import type { TestFile } from './files.ts';
import type { Outcome } from './run-file.ts';

const PATH = join(CACHE, 'times.json');
/** Of a file that has not run yet, in seconds: those with a stack take longest. */
const UNKNOWN = { stack: 60, other: 10 };

/** A file whose share of a processor is less mostly waits. */
const WAITING = 0.2;
/** Of one that takes less, nobody needs to know. */
const WAITING_SECONDS = 5;

type Times = Record<string, { seconds: number; cpuSeconds: number }>;

export function readTimes(): Times {
  try {
    const known = Object.entries(JSON.parse(readFileSync(PATH, 'utf8')) as Times);
    return Object.fromEntries(known.filter(([, taken]) => typeof taken === 'object'));
  } catch {
    return {}; // none yet, or half a file
  }
}

/** Adds what these files took. Files that were renamed stay in the list, without effect. */
export function writeTimes(outcomes: Outcome[]): void {
  const known = existsSync(PATH) ? readTimes() : {};
  for (const { file, seconds, cpuSeconds, problems } of outcomes)
    if (problems.length === 0) known[file] = { seconds: Math.max(1, Math.round(seconds)), cpuSeconds };
  mkdirSync(dirname(PATH), { recursive: true });
  writeFileSync(`${PATH}.${process.pid}`, JSON.stringify(known, null, 1));
  renameSync(`${PATH}.${process.pid}`, PATH);
}

export function expected({ path, needsEngine }: TestFile, times: Times): number {
  return Math.max(1, times[path]?.seconds ?? (needsEngine ? UNKNOWN.stack : UNKNOWN.other));
}

/** @returns whether a file left the processors to others when it last ran; what containers used is not known */
export function mostlyWaits({ path, needsEngine }: TestFile, times: Times): boolean {
  const { seconds, cpuSeconds } = times[path] ?? { seconds: 0, cpuSeconds: 0 };
  return !needsEngine && seconds >= WAITING_SECONDS && cpuSeconds < seconds * WAITING;
}
