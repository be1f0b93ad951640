/** How long a deployment waits, and for what: as long as Nginx's own settings say, and for an instance's last requests. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newCase } from '../support/deployment-model.ts';
import type { DockerModel } from '../support/docker-model.ts';

const HTTP = 'nginx/snippets/http.conf';
const API = 'nginx/snippets/api.conf';

/** A wait may have begun before the commands between, which take next to no time. */
const about = (seconds: number) => Math.round(seconds / 1.2);

/** @returns the seconds of all pauses of a deployment where a line of http.conf is another one, and what it lost */
async function pausesWith(from: RegExp, to: string, times: Partial<DockerModel['times']> = {}) {
  const c = await newCase();
  Object.assign(c.docker.times, times);
  const text = c.read(HTTP);
  assert.match(text, from);
  c.write(HTTP, text.replace(from, to));
  try {
    const run = await c.deploy();
    return { run, seconds: c.docker.clock, losses: c.docker.losses };
  } finally {
    c.write(HTTP, text);
  }
}

test('old workers are waited for as long as keepalive_min_timeout says, once for each that goes', async () => {
  const long = await pausesWith(/^keepalive_min_timeout .*/m, 'keepalive_min_timeout 100s;');
  const short = await pausesWith(/^keepalive_min_timeout .*/m, 'keepalive_min_timeout 3s;');
  assert.is(long.run.ended, 'done', long.run.said);
  // Two instances, the frontend, and its stand-in; a fifth more.
  assert.is(about(long.seconds - short.seconds), 4 * (100 - 3));
  assert.equal(long.losses, []);
  assert.ok(short.losses.length > 0, 'the model’s Nginx has 5 s');
});

test('new names are waited for as long as resolver_timeout says, and a second more', async () => {
  const waits = (seconds: number, resolve: number) =>
    pausesWith(/^resolver_timeout .*/m, `resolver_timeout ${seconds}s;`, { resolve });
  // Far from each other, and far more than the commands between take on a slow machine.
  const [long, short] = [await waits(119, 120), await waits(59, 120)];
  // For an instance, the stand-in and the frontend, each when it is new and before the list after that.
  assert.is(Math.round((long.seconds - short.seconds) / 60), 6);
  assert.equal(long.losses, []);
  assert.ok(short.losses.length > 0, 'the model’s Nginx has 120 s');
});

test('a setting that is not there is no reason to wait for nothing', async () => {
  const { run } = await pausesWith(/^keepalive_min_timeout .*/m, '');
  assert.is(run.ended, 'unfinished');
  assert.match(run.said, /nginx\/snippets\/http\.conf has no line such as `keepalive_min_timeout 5s;`/);
});

/**
 * A deployment whose looks at an instance's requests run as they do in Nginx's container, on a clock of their own that
 * goes on by what `sleep` and `curl -m` take.
 *
 * @param metrics what curl does, for each time that it is called; then it goes on with the last
 * @param answer how long Nginx waits for one
 */
async function drainedWith(metrics: (number | 'hangs')[], { answer = '120s' } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'drain-'));
  const clock = join(directory, 'clock');
  const calls = join(directory, 'calls');
  // Functions of its shell, as a program for each of some hundred calls is two seconds of a processor.
  const clocked = (name: string, script: string) => `${name}() { read t <${clock}; ${script}; }`;
  const programs = [
    clocked('date', 'echo $((t / 1000))'),
    clocked('sleep', `echo $((t + 500)) >${clock}`),
    clocked(
      'curl',
      `read n <${calls}; n=$((n + 1)); echo $n >${calls}; set -- ${metrics.join(' ')}
      [ $n -lt $# ] || n=$#; shift $((n - 1))
      [ "$1" != hangs ] || { echo $((t + 3000)) >${clock}; return 28; }
      printf '# TYPE http_requests_in_flight gauge\\nhttp_requests_in_flight %s\\n' "$1"`,
    ),
  ];
  const seen: { seconds: number; timeout: number; calls: number }[] = [];
  const c = await newCase({ frontend: false });
  const api = c.read(API);
  c.write(API, api.replace(/(?<=proxy_read_timeout )\w+/g, answer));
  c.docker.shell = (script, timeout) => {
    if (!script.includes('http_requests_in_flight')) return undefined;
    writeFileSync(clock, '1000000\n');
    writeFileSync(calls, '0\n');
    const text = [...programs, script].join('\n');
    const { status, stdout, stderr } = spawnSync('sh', ['-c', text], { encoding: 'utf8' });
    const seconds = Number(readFileSync(clock, 'utf8')) / 1000 - 1000;
    seen.push({ seconds, timeout, calls: Number(readFileSync(calls, 'utf8')) });
    return { code: status!, stdout, stderr };
  };
  try {
    return { run: await c.deploy(), seen };
  } finally {
    c.write(API, api);
    rmSync(directory, { recursive: true });
  }
}

test('an instance is stopped when its requests are 0 three times in a row', async () => {
  const { run, seen } = await drainedWith([2, 0, 1, 0, 0, 0]);
  assert.is(run.ended, 'done', run.said);
  assert.equal(
    seen.map(({ calls }) => calls),
    [6, 6],
  );
  assert.not.match(run.said, /still answers requests/);
});

test('an instance that says nothing of its requests is stopped after as long as one may take, with a warning', async () => {
  const { run, seen } = await drainedWith(['hangs']);
  assert.is(run.ended, 'done', run.said);
  assert.match(
    run.said,
    /backend-1 still answers requests after 125 s, or does not count them; it is stopped now/,
  );
  assert.is(seen.length, 2);
  for (const { seconds, timeout } of seen) {
    assert.ok(seconds >= 125, `${seconds} s`);
    assert.ok(
      seconds + 10 < timeout,
      `it ends by itself, after ${seconds} s; it would be ended after ${timeout} s`,
    );
  }
});

test('an instance that is never done is given up on as well, when Nginx has given up on its answer', async () => {
  const { run, seen } = await drainedWith([1], { answer: '15s' });
  assert.is(run.ended, 'done', run.said);
  assert.match(run.said, /backend-2 still answers requests after 20 s/);
  for (const { seconds } of seen) assert.ok(seconds >= 20 && seconds < 25, `${seconds} s`);
});

test.run();
