#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
/*
 * Runs the test files, each as a process of its own, as many at once as the machine can take, and counts what really
 * ran. The last line is `N passed, N failed, N skipped`; a file that could not run counts as skipped, and fails the run.
 *
 *   npm test                    all files but the long ones
 *   npm test -- --fast          those that need no Docker engine
 *   npm test -- restore s3      the files whose path holds one of the words
 *   npm run test:long           the long ones: hundreds of kills, long loads, bare systems
 *   npm run test:stores         those with Ceph's S3 gateway as the store
 *   … --in DIR                  the files of another directory
 *   … --seconds 60              how long a file may take
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Engine } from './engine/engine.ts';
import { type Lease, leaseEngine } from './engine/lease.ts';
import { say } from './engine/process.ts';
import { prepareImages } from './images/prepare.ts';
import { findTests, type TestFile } from './runner/files.ts';
import { runAll } from './runner/lanes.ts';
import { ended, failures, longest } from './runner/report.ts';
import { type Outcome, runFile, running } from './runner/run-file.ts';
import { offerS3Servers } from './runner/s3-servers.ts';
import { expected, mostlyWaits, readTimes, writeTimes } from './runner/times.ts';
import { endShared } from './stack/lib/shared.ts';

// The launcher set these for this process; what it starts must not fill this cache.
for (const name of ['NODE_COMPILE_CACHE', 'NODE_COMPILE_CACHE_PORTABLE']) delete process.env[name];

const { values, positionals: words } = parseArgs({
  options: {
    in: { type: 'string' },
    seconds: { type: 'string' },
    fast: { type: 'boolean', default: false },
    long: { type: 'boolean', default: false },
    stores: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const { fast, long, stores } = values;
const suite = long ? 'long' : stores ? 'stores' : undefined;
const directory = values.in ?? import.meta.dirname;
const limit = Number(values.seconds ?? (suite ? 3600 : 1500));

const times = readTimes();
const files = findTests(directory, { words, fast, suite }, file => expected(file, times));
for (const file of files) file.waits = mostlyWaits(file, times);
const outcomes: Outcome[] = [];
const notRun: TestFile[] = [];
let stopped = false;

// The engine and its images are made while the tests run that need none.
let lease: Lease<Engine> | undefined;
let obstacle: string | undefined;
let isPrepared = false;
async function prepare(): Promise<void> {
  try {
    lease = await leaseEngine();
    await prepareImages(lease.engine);
  } catch (error) {
    obstacle = (error as Error).message;
    say(`What needs a Docker engine can't run: ${obstacle}`);
  }
  isPrepared = true;
}

const started = performance.now();
async function run(file: TestFile): Promise<void> {
  if (stopped) return;
  if (file.needsEngine && obstacle !== undefined) {
    notRun.push(file);
    return;
  }
  const outcome = await runFile(directory, file, limit);
  outcomes.push(outcome);
  console.log(ended(outcome, outcomes.length, files.length, secondsLeft()));
}

/** As much longer as the files that are left took, beside those that have ended. */
function secondsLeft(): number {
  const all = files.reduce((sum, file) => sum + expected(file, times), 0);
  const done = files
    .filter(({ path }) => outcomes.some(({ file }) => file === path))
    .reduce((sum, file) => sum + expected(file, times), 0);
  return ((performance.now() - started) / 1000) * (all / done - 1);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stopped = true;
    for (const pid of running) process.kill(-pid, signal);
    setTimeout(() => process.exit(signal === 'SIGINT' ? 130 : 143), 10_000);
  });
}

const preparing = files.some(({ needsEngine }) => needsEngine) ? prepare() : Promise.resolve();
// Where files that share one stack describe it to each other.
const shared = mkdtempSync(join(tmpdir(), 'shared-stack-'));
process.env.TEST_SHARED_STACK = shared;
const endS3Servers = await offerS3Servers(join(shared, 's3.socket'));
await runAll(files, run, ({ needsEngine }) => !needsEngine || isPrepared, preparing);
if (lease) await endShared(shared);
endS3Servers();
rmSync(shared, { recursive: true });
if (await lease?.leave()) say('The engine of the tests has ended');
if (!values.in) writeTimes(outcomes);

const total = (key: 'passed' | 'failed' | 'skipped') =>
  outcomes.reduce((all, outcome) => all + outcome[key], 0);
const failed = total('failed') + (files.length === 0 ? 1 : 0);
const skipped = total('skipped') + notRun.length;
if (outcomes.length > 1) console.log(`\n${longest(outcomes)}\n`);
if (outcomes.length > 1 && failed > 0) console.log(failures(outcomes));
if (files.length === 0) console.log(`no test file matches ${words.join(' ')}`);
// Why stands on the last line, since nobody reads further up.
const why = obstacle ? `; ${notRun.length} files could not run: ${obstacle.split('\n')[0]}` : '';
console.log(`${total('passed')} passed, ${failed} failed, ${skipped} skipped${why}`);
process.exit(failed > 0 || skipped > 0 || stopped ? 1 : 0);
