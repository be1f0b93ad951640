import { appendFileSync, closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Place, pasteable } from './command-line.ts';
import { styled } from './format.ts';
import { redact } from './redact.ts';
import { type Bounds, rotateLarge } from './rotate.ts';

/** A log in `<LOG_DIR>` and `history.jsonl`: 30 MB at most each. A busy one gets 10 MB in some months, others in years. */
export const LOG_BOUNDS: Bounds = { limit: 10e6, older: 2 };

/** The file in `<LOG_DIR>` to which cron's shell appends what its jobs print. */
export const CRON_LOG = 'cron.log';

let place: Place | undefined;
let file: string | undefined;
let unfinishedLine = false;

/** From now on the commands in messages are shown in the form that acts on this environment, from this directory. */
export function commandsFor(where: Place): void {
  place = where;
}

/** @returns the text as it is shown: without secrets, with commands that can be pasted, see {@link pasteable} */
export function shown(text: string): string {
  return redact(place ? pasteable(text, place) : text);
}

/**
 * Also writes every later message to this file, with its time (UTC).
 * @param looking a run that only looks leaves no file
 */
export function logTo(path: string, looking = false): void {
  if (looking) return;
  file = path;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch {} // the first message reports the reason
  rotate(join(dirname(path), CRON_LOG), LOG_BOUNDS); // the shell does not
}

/** Rotates a file that has reached its limit, see {@link rotateLarge}. What prevents it is a warning, once. */
export function rotate(path: string, bounds: Bounds): void {
  const told = rotateLarge(path, bounds);
  if (told) log.warn(told);
}

function write(level: string, message: string, styledMessage: string) {
  if (unfinishedLine) process.stderr.write('\r\x1b[K');
  unfinishedLine = false;
  process.stderr.write(shown(styledMessage) + '\n');
  append(level, message);
}

function append(level: string, message: string) {
  if (!file) return;
  const lines = shown(message).replaceAll('\n', '\n  ');
  rotate(file, LOG_BOUNDS);
  try {
    refuseUnread(file);
    appendFileSync(file, `${new Date().toISOString()} [${process.pid}] ${level}: ${lines}\n`, {
      mode: 0o600,
    });
  } catch (error) {
    const path = file;
    file = undefined; // a full disk must not end the run
    process.stderr.write(`warning: no more messages to ${path}: ${(error as Error).message}\n`);
  }
}

/** @throws where the file is a FIFO that no process reads: opening it to write would wait for one */
function refuseUnread(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isFIFO())
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
}

/** What each kind of command wrote last: one that is repeated fills no log with the same lines. */
const kept = new Map<string, string>();
const warned = new Set<string>();

/** @returns the log file, if there is one */
export function logFile(): string | undefined {
  return file;
}

/** Messages go to stderr and the log file. stdout is for results only. */
export const log = {
  info: (message: string) => write('info', message, message),
  /** A step that is done. */
  done: (message: string) => write('info', message, `${styled('green', '✓')} ${message}`),
  warn: (message: string) => write('warning', message, `${styled('yellow', 'warning:')} ${message}`),
  /** A warning that a program repeats is shown once in a run. */
  warnOnce: (message: string) => {
    if (!warned.has(message)) log.warn(message);
    warned.add(message);
  },
  /** What a program wrote, whole: into the log file only. */
  keep: (title: string, output: string) => {
    if (output.trim() === '' || kept.get(title) === output) return;
    kept.set(title, output);
    append('output', `${title}\n${output.trimEnd()}`);
  },
  error: (message: string) => write('error', message, `${styled('red', 'error:')} ${message}`),
  /** The visible line between looking and changing. */
  changesBegin: () => write('info', 'changes begin', styled('dim', '── from here on, things change ──')),
  /** A line that the next message or status replaces; only on a terminal. */
  status: (text: string) => {
    if (!process.stderr.isTTY) return;
    process.stderr.write(`\r\x1b[K${redact(text).slice(0, (process.stderr.columns || 80) - 1)}`);
    unfinishedLine = text !== '';
  },
};
