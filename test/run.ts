#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/../node_modules/.bin/node" --no-concurrent-sparkplug --no-concurrent-recompilation "$0" "$@"'
/*
 * Runs every test file as a process of its own and counts what really ran. uvu alone exits 0 when a file
 * registers no test, forgets `test.run()`, throws a string, keeps an `.only` or leaves by process.exit(0).
 *
 *   npm test                    all files
 *   npm test -- restore s3      the files whose path holds one of the words
 *   npm test -- --in DIR        the files of another directory
 *   npm test -- --seconds 60    how long a file may take
 */
import { spawn, spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { pid as runningEngine } from './engine/daemon.ts';
import { stopEngine } from './engine/engine.ts';

// Read before anything runs: an engine that was there already is somebody else's to stop.
const engineBefore = runningEngine();

const { values, positionals: words } = parseArgs({
  options: { in: { type: 'string' }, seconds: { type: 'string', default: '1500' } },
  allowPositionals: true,
});
const HERE = values.in ?? import.meta.dirname;

interface Outcome {
  file: string;
  passed: number;
  failed: number;
  skipped: number;
  seconds: number;
  problems: string[];
  output: string;
}

const files = globSync('**/*.test.ts', { cwd: HERE, exclude: name => name.includes('node_modules') })
  .filter(file => words.length === 0 || words.some(word => file.includes(word)))
  .sort((a, b) => Number(isSlow(b)) - Number(isSlow(a)) || a.localeCompare(b));
const running = new Set<number>();

/** Files in directories use servers and take longest: they start first. */
function isSlow(file: string): boolean {
  return file.includes('/');
}

/** uvu's summary, once for each `.run()`. */
function sum(output: string, label: string): number {
  return [...output.matchAll(new RegExp(`^ {2}${label}: +(\\d+)`, 'gm'))].reduce(
    (all, [, n]) => all + Number(n),
    0,
  );
}

function judge(file: string, output: string, exit: number | string): Omit<Outcome, 'seconds'> {
  const plain = stripVTControlCharacters(output);
  const [total, passed, skipped] = ['Total', 'Passed', 'Skipped'].map(label => sum(plain, label)) as [
    number,
    number,
    number,
  ];
  const source = readFileSync(join(HERE, file), 'utf8');
  const problems: string[] = [];
  if (exit !== 0) problems.push(`exit ${exit}`);
  if (total === 0) problems.push('no test ran');
  if (passed < total) problems.push(`${total - passed} of ${total} failed`);
  if (skipped > 0) problems.push(`${skipped} skipped`);
  if (/^\s*\w+\.only\(/m.test(source)) problems.push('.only is left in');
  const declared = source.match(/^test\(/gm)?.length ?? 0;
  if (total < declared) problems.push(`${declared} tests are declared, ${total} ran`);
  const failed = Math.max(total - passed, problems.length > 0 ? 1 : 0);
  return { file, passed, failed, skipped, problems, output };
}

function runFile(file: string): Promise<Outcome> {
  const started = performance.now();
  return new Promise(resolve => {
    // What the first line of this file gives Node keeps a test file, too, from hanging at its exit.
    const child = spawn(process.execPath, [...process.execArgv, join(HERE, file)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.add(child.pid!);
    let output = '';
    const collect = (text: Buffer) => {
      output += text;
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const timer = setTimeout(() => {
      output += `\nafter ${values.seconds} s it was ended; what ran then:\n${processes()}`;
      process.kill(-child.pid!, 'SIGKILL');
    }, Number(values.seconds) * 1000);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child.pid!);
      resolve({ ...judge(file, output, signal ?? code ?? 1), seconds: (performance.now() - started) / 1000 });
    });
  });
}

/** What a file that hangs may be waiting for. */
function processes(): string {
  const { stdout } = spawnSync('ps', ['-eo', 'pid,ppid,etimes,stat,args', '--forest'], { encoding: 'utf8' });
  const lines = stdout.split('\n').filter(line => !line.endsWith(']')); // the kernel's own
  return lines.map(line => line.slice(0, 200)).join('\n');
}

/** A crowd needs the processors for itself: what it waits for must not be another file's work. */
const isAlone = (file: string) => file.includes('-load.');
const queue = files.filter(file => !isAlone(file));
const alone = files.filter(isAlone);
const outcomes: Outcome[] = [];
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    queue.length = 0;
    alone.length = 0;
    for (const pid of running) process.kill(-pid, signal);
    setTimeout(() => process.exit(signal === 'SIGINT' ? 130 : 143), 10_000);
  });
}

async function work(list: string[]): Promise<void> {
  for (let file = list.shift(); file !== undefined; file = list.shift()) {
    const outcome = await runFile(file);
    outcomes.push(outcome);
    const { passed, problems, seconds } = outcome;
    console.log(
      `${problems.length > 0 ? '✗' : '✓'} ${file}: ${passed} passed (${seconds.toFixed(1)} s) ${problems.join(', ')}`,
    );
    // What a test found out that is worth to be read when all is well, it says in lines that begin so.
    const shown = problems.length > 0 ? outcome.output : (outcome.output.match(/» .*$/gm) ?? []).join('\n');
    if (shown) console.log(shown.replaceAll(/^/gm, '    '));
  }
}
await Promise.all(Array.from({ length: Math.min(2, cpus().length) }, () => work(queue)));
await work(alone);

if (engineBefore === undefined && runningEngine() !== undefined) await stopEngine();

const total = (key: 'passed' | 'failed' | 'skipped') =>
  outcomes.reduce((all, outcome) => all + outcome[key], 0);
const failed = total('failed') + (files.length === 0 ? 1 : 0);
if (files.length === 0) console.log(`no test file matches ${words.join(' ')}`);
console.log(`${total('passed')} passed, ${failed} failed, ${total('skipped')} skipped`);
process.exit(failed > 0 || total('skipped') > 0 ? 1 : 0);
