/**
 * Loaded before a test file. It notes each process that the file starts, and the last that it wrote, so that a failure
 * on another machine can be understood from its log. It reads nothing away: what arrives is noted on its way through.
 */
import { ChildProcess } from 'node:child_process';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { test } from 'uvu';

/** One process of a test: `test` is '' for what the file starts outside of its tests. */
export interface Recorded {
  test: string;
  command: string;
  /** An exit code, a signal, or that it still ran. */
  end: string;
  tail: string;
}

/** Characters that are kept of what one process wrote. */
const KEPT = 2000;

const path = process.env.TEST_RECORDS;
delete process.env.TEST_RECORDS;
delete process.env.NODE_COMPILE_CACHE;

const recorded: Recorded[] = [];
let current = '';
test.before.each(context => {
  current = (context as unknown as { __test__: string }).__test__;
});
test.after.each(() => {
  current = '';
});

interface Spawning {
  spawn(options: { args?: string[]; stdio?: unknown }): number | undefined;
}

const prototype = ChildProcess.prototype as unknown as Spawning;
const spawn = prototype.spawn;
prototype.spawn = function (this: ChildProcess & Spawning, options) {
  const result = spawn.call(this, options);
  const record: Recorded = {
    test: current,
    command: options.args?.join(' ') ?? '',
    end: 'still runs',
    tail: '',
  };
  const note = (text: string) => {
    record.tail = (record.tail + text).slice(-KEPT);
  };
  for (const stream of [this.stdout, this.stderr]) if (stream) passing(stream, note);
  const files = logFiles(options.stdio);
  this.once('exit', (code, signal) => {
    record.end = signal ?? `exit ${code}`;
    for (const file of files) note(tailOf(file));
  });
  recorded.push(record);
  return result;
};

function passing(stream: Readable, note: (text: string) => void): void {
  const push = stream.push;
  stream.push = (chunk, ...rest) => {
    if (chunk) note(String(chunk));
    return push.call(stream, chunk, ...rest);
  };
}

/** Of a process that writes to a file, as servers do, the file. */
function logFiles(stdio: unknown): string[] {
  if (!Array.isArray(stdio)) return [];
  const numbers = stdio.slice(1, 3).map(each => (typeof each === 'number' ? each : each?.fd));
  return [...new Set(numbers)].flatMap(fd => {
    if (typeof fd !== 'number' || fd < 3) return [];
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // not on this system
    }
  });
}

function tailOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(-KEPT);
  } catch {
    return ''; // it is no file, or gone
  }
}

process.once('exit', code => {
  if (path && (code !== 0 || process.exitCode)) writeFileSync(path, JSON.stringify(recorded));
});
