import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { messageOf } from './errors.ts';
import { appendLine } from './json-lines.ts';
import { LOG_BOUNDS, log, rotate } from './log.ts';
import { redact } from './redact.ts';

/** @returns who runs this: the user who called sudo, else the user of this process */
export function operator(): string {
  if (process.env.SUDO_USER) return process.env.SUDO_USER;
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`; // a container's user without an entry in /etc/passwd
  }
}

interface HistoryEntry {
  script: string;
  arguments: string[];
  environment: string;
  exitCode: number;
  error?: string;
  seconds: number;
}

/** Appends one line about a run that may have changed something to `<stateDir>/history.jsonl`. */
export function record(stateDir: string, entry: HistoryEntry): void {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    const line = JSON.stringify({ time: new Date().toISOString(), user: operator(), ...entry });
    const path = join(stateDir, 'history.jsonl');
    rotate(path, LOG_BOUNDS);
    appendLine(path, redact(line));
  } catch (error) {
    log.warn(`this run is not in the history: ${messageOf(error)}`);
  }
}
