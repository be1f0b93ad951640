/** How long a deployment waits: as long as Nginx's settings say, and until an instance has finished its requests. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pass } from '../support/deploy/deployment-copy.ts';
import { newCase } from '../support/deploy/deployment-model.ts';
import type { DockerModel } from '../support/deploy/docker-model.ts';

const HTTP = 'nginx/snippets/http.conf';
const API = 'nginx/snippets/api.conf';

/** Without the extra fifth; the commands between the waits take almost no time. */
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

test('it waits keepalive_min_timeout for old workers, once for each instance that leaves', async () => {
  const long = await pausesWith(/^keepalive_min_timeout .*/m, 'keepalive_min_timeout 100s;');
  const short = await pausesWith(/^keepalive_min_timeout .*/m, 'keepalive_min_timeout 3s;');
  assert.is(long.run.ended, 'done', long.run.said);
  // Two instances, the frontend, and its temporary copy; a fifth more.
  assert.is(about(long.seconds - short.seconds), 4 * (100 - 3));
  assert.equal(long.losses, []);
  assert.ok(short.losses.length > 0, 'the model’s Nginx has 5 s');
});

test('it waits resolver_timeout and a second for the address of a new name', async () => {
  const waits = (seconds: number, resolve: number) =>
    pausesWith(/^resolver_timeout .*/m, `resolver_timeout ${seconds}s;`, { resolve });
  // Far from each other, and far more than the commands between take on a slow machine.
  const [long, short] = [await waits(119, 120), await waits(59, 120)];
  // For an instance, the temporary frontend and the frontend, each when it is new and before the list after that.
  assert.is(Math.round((long.seconds - short.seconds) / 60), 6);
  assert.equal(long.losses, []);
  assert.ok(short.losses.length > 0, 'the model’s Nginx has 120 s');
});

test('a missing setting is an error, not a wait of zero seconds', async () => {
  const { run } = await pausesWith(/^keepalive_min_timeout .*/m, '');
  assert.is(run.ended, 'unfinished');
  assert.match(run.said, /nginx\/snippets\/http\.conf has no line such as `keepalive_min_timeout 5s;`/);
});

/**
 * A deployment whose looks at an instance's requests run as they do in Nginx's container, on a clock of their own that
 * advances by what `sleep` and `curl -m` take.
 *
 * @param metrics what curl does, for each time that it is called; the last is repeated
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

test('an instance that does not count its requests is stopped after the longest time of a request, with a warning', async () => {
  const { run, seen } = await drainedWith(['hangs']);
  assert.is(run.ended, 'done', run.said);
  assert.match(run.said, /backend-1 still answers requests after 125 s, or does not count them; stopping it/);
  assert.is(seen.length, 2);
  for (const { seconds, timeout } of seen) {
    assert.ok(seconds >= 125, `${seconds} s`);
    assert.ok(seconds + 10 < timeout, `it ends by itself after ${seconds} s; the timeout is ${timeout} s`);
  }
});

/** A deployment in which Nginx's container can't be asked for the requests of an instance, so many times. */
async function nginxRestarting(times: number) {
  const c = await newCase();
  let left = times;
  const clock = c.docker.clock;
  c.docker.shell = script =>
    script.includes('http_requests_in_flight') && left-- > 0
      ? { code: 1, stdout: '', stderr: 'Error response from daemon: Container shop-nginx is restarting' }
      : undefined;
  const run = await c.deploy();
  return { c, run, seconds: c.docker.clock - clock };
}

test('while Nginx restarts, an instance is not stopped: its requests are counted when Nginx is back', async () => {
  const { c, run } = await nginxRestarting(20);
  assert.is(run.ended, 'done', run.said);
  assert.equal(c.docker.losses, []);
  assert.match(run.said, /could not drain backend-1: .*is restarting; trying again/);
  assert.not.match(run.said, /still answers requests/);
});

test('when Nginx does not come back, the instance is not stopped and the deployment is rolled back', async () => {
  const { c, run, seconds } = await nginxRestarting(Number.POSITIVE_INFINITY);
  assert.is(run.ended, 'rolled back', run.said);
  assert.equal([c.docker.losses, run.changes.filter(change => change.startsWith('stop'))], [[], []]);
  assert.ok(seconds > 125 && seconds < 220, `${seconds} s`);
});

test('an instance whose requests never end is stopped when Nginx waits for them no longer', async () => {
  const { run, seen } = await drainedWith([1], { answer: '15s' });
  assert.is(run.ended, 'done', run.said);
  assert.match(run.said, /backend-2 still answers requests after 20 s/);
  for (const { seconds } of seen) assert.ok(seconds >= 20 && seconds < 25, `${seconds} s`);
});

/** A deployment in which the new backend-1 answers its first looks like this. @returns curl's timeout of each look */
async function readyWith(...looks: ('ready' | 'refuses' | 'hangs')[]) {
  const c = await newCase({ frontend: false });
  const seconds: number[] = [];
  c.docker.shell = script => {
    const replaced =
      c.docker.changes.includes('start backend-1') && !c.docker.changes.includes('stop backend-2');
    const [, limit] = /^curl .*-m (\S+) .*backend-1:3000.*ready$/.exec(script) ?? [];
    const look = limit && replaced ? looks[seconds.length] : undefined;
    if (!look) return undefined;
    seconds.push(Number(limit));
    if (look === 'hangs') pass(Number(limit));
    return { code: { ready: 0, refuses: 7, hangs: 28 }[look], stdout: '', stderr: '' };
  };
  return { run: await c.deploy(), seconds };
}

test('an instance is back in the list when it is ready three times in a row', async () => {
  const { run, seconds } = await readyWith('ready', 'ready', 'refuses', 'ready', 'ready', 'ready');
  assert.is(run.ended, 'done', run.said);
  assert.is(seconds.length, 6);
});

test('an instance that does not answer fails after DEPLOY_READY_TIMEOUT, not later', async () => {
  const { run, seconds } = await readyWith('ready', 'ready', 'hangs');
  assert.is(run.ended, 'rolled back', run.said);
  assert.match(run.said, /backend-1 is not ready after 3 s/);
  assert.is(seconds.length, 3);
  // After two pauses of 0.3 s, the rest of the time for the last look.
  assert.ok(seconds[2]! <= 2.4, `${seconds[2]} s`);
});

test.run();
