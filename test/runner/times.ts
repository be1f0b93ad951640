/** What each test file took when it last ran, so that the longest start first and the rest can be estimated. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CACHE } from '../engine/engine.ts';
import type { TestFile } from './files.ts';
import type { Outcome } from './run-file.ts';

const PATH = join(CACHE, 'times.json');
/** Of a file that has not run yet, in seconds: those with a stack take longest. */
const UNKNOWN = { stack: 60, other: 10 };

type Times = Record<string, number>;

export function readTimes(): Times {
  try {
    return JSON.parse(readFileSync(PATH, 'utf8')) as Times;
  } catch {
    return {}; // none yet, or half a file
  }
}

/** Adds what these files took. Files that were renamed stay in the list, without effect. */
export function writeTimes(outcomes: Outcome[]): void {
  const known = existsSync(PATH) ? readTimes() : {};
  for (const { file, seconds, problems } of outcomes)
    if (problems.length === 0) known[file] = Math.max(1, Math.round(seconds));
  mkdirSync(dirname(PATH), { recursive: true });
  writeFileSync(`${PATH}.${process.pid}`, JSON.stringify(known, null, 1));
  renameSync(`${PATH}.${process.pid}`, PATH);
}

export function expected({ path, needsEngine }: TestFile, times: Times): number {
  return Math.max(1, times[path] ?? (needsEngine ? UNKNOWN.stack : UNKNOWN.other));
}
