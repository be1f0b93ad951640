/**
 * Runs one test file as a process of its own and judges what really ran. uvu alone exits 0 when a file registers no
 * test, forgets `test.run()`, throws a string, keeps an `.only` or leaves by process.exit(0).
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { ROOT } from '../../scripts/lib/config/config.ts';
import type { TestFile } from './files.ts';
import { lastLinesOf } from './recorded.ts';

export interface Outcome {
  file: string;
  passed: number;
  failed: number;
  skipped: number;
  problems: string[];
  output: string;
  /** If something failed, the last lines of each process that it had started. */
  processes: string;
  /** Wall time. */
  seconds: number;
  /** Of the processors, by the file's process and all that it waited for; not what ran in containers. */
  cpuSeconds: number;
}

/** Bash waits for the test and prints on descriptor 3 what it cost; the exit status stays the test's. */
const TIMED = '"$@"; code=$?; times >&3; exit $code';
/** What statfs says of a tmpfs. */
const TMPFS = 0x01021994;
const RECORDER = join(import.meta.dirname, 'recorder.ts');

/** Process groups of the files that run now, to be ended with this process. */
export const running = new Set<number>();

/** @param limit seconds until the file is ended, with all that it has started */
export function runFile(
  directory: string,
  { path, source, needsEngine }: TestFile,
  limit: number,
): Promise<Outcome> {
  const started = performance.now();
  const records = mkdtempSync(join(tmpdir(), 'records-'));
  return new Promise(resolve => {
    // The flags of scripts/node keep a test file, too, from hanging at its exit.
    const node = [process.execPath, ...process.execArgv, '--import', RECORDER, join(directory, path)];
    const child = spawn('bash', ['-c', TIMED, 'bash', ...node], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...surroundings(needsEngine), TEST_RECORDS: join(records, 'processes.json') },
      detached: true,
    });
    running.add(child.pid!);
    let output = '';
    let cost = '';
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    (child.stdio[3] as Readable).setEncoding('utf8').on('data', (text: string) => {
      cost += text;
    });
    const timer = setTimeout(() => {
      output += `\nafter ${limit} s it was ended; what ran then:\n${processes()}`;
      process.kill(-child.pid!, 'SIGKILL');
    }, limit * 1000);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child.pid!);
      const judged = judge(source, output, signal ?? code ?? 1);
      const lines = judged.problems.length > 0 ? lastLinesOf(join(records, 'processes.json'), output) : '';
      rmSync(records, { recursive: true });
      const seconds = (performance.now() - started) / 1000;
      resolve({ file: path, ...judged, processes: lines, seconds, cpuSeconds: parseTimes(cost) });
    });
  });
}

/** What makes a test file cheaper, and changes nothing else. */
export function surroundings(needsEngine: boolean): Record<string, string> {
  return {
    // As in scripts/node; the recorder removes it before the test starts anything.
    NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/tests'),
    // Thousands of files of servers that live for seconds: on a disk, a third of all processor time goes into them.
    ...(!needsEngine && memory ? { TMPDIR: memory } : {}),
  };
}

/** A file system in memory with room for the servers of all files that run at once. */
const memory = ['/dev/shm'].find(path => {
  if (!existsSync(path)) return false;
  const { type, bavail, bsize } = statfsSync(path);
  return type === TMPFS && bavail * bsize > 4 * 2 ** 30;
});

/** @returns the seconds in bash's `times`: its own and its children's, user and system */
function parseTimes(text: string): number {
  return [...text.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, m, s]) => sum + Number(m) * 60 + Number(s),
    0,
  );
}

/** uvu's summary, once for each `.run()`. */
function sum(output: string, label: string): number {
  const found = output.matchAll(new RegExp(`^ {2}${label}: +(\\d+)`, 'gm'));
  return [...found].reduce((all, [, n]) => all + Number(n), 0);
}

function judge(source: string, output: string, exit: number | string) {
  const plain = stripVTControlCharacters(output);
  const [total, passed, skipped] = [sum(plain, 'Total'), sum(plain, 'Passed'), sum(plain, 'Skipped')];
  const problems: string[] = [];
  if (exit !== 0) problems.push(`exit ${exit}`);
  if (total === 0) problems.push('no test ran');
  if (passed < total) problems.push(`${total - passed} of ${total} failed`);
  if (skipped > 0) problems.push(`${skipped} skipped`);
  if (/^\s*\w+\.only\(/m.test(source)) problems.push('.only is left in');
  const declared = source.match(/^test\(/gm)?.length ?? 0;
  if (total < declared) problems.push(`${declared} tests are declared, ${total} ran`);
  const failed = Math.max(total - passed, problems.length > 0 ? 1 : 0);
  return { passed, failed, skipped, problems, output };
}

/** What a file that hangs may be waiting for. */
function processes(): string {
  const { stdout } = spawnSync('ps', ['-eo', 'pid,ppid,etimes,stat,args', '--forest'], { encoding: 'utf8' });
  const lines = stdout.split('\n').filter(line => !line.endsWith(']')); // the kernel's own
  return lines.map(line => line.slice(0, 200)).join('\n');
}
