/** How long a deployment waits: as long as Nginx's settings say, and until an instance has finished its requests. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Config } from '../../scripts/lib/config/config.ts';
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

/** Of Nginx's connections to an instance, as the kernel lists them: to another one, idle, in use, a WebSocket's. */
const CONNECTIONS = {
  other: '0: 0A00090A:E05E 0B00090A:0BB8 01 00000000:00000000 00:00000000 00000000',
  closing: '1: 0A00090A:E05F 0700090A:0BB8 06 00000000:00000000 03:00000000 00000000',
  request: '2: 0A00090A:E060 0700090A:0BB8 01 00000000:00000000 00:00000000 00000000',
  opening: '3: 0A00090A:E061 0700090A:0BB8 02 00000000:00000001 01:00000000 00000000',
  socket: '4: 0A00090A:E062 0700090A:0BB8 01 00000000:00000000 02:000AFC61 00000000',
} as const;

/**
 * A deployment whose looks at an instance's requests run as they do in Nginx's container, on a clock of their own that
 * advances by what `sleep` and `curl -m` take.
 *
 * @param metrics what curl does, for each time that it is called; the last is repeated
 * @param connections those of Nginx at each look at them; the last is repeated
 * @param answer how long Nginx waits for one
 */
async function drainedWith(
  metrics: (number | 'hangs' | 'refuses' | 'does not count')[],
  {
    answer = '120s',
    connections = [[]] as (keyof typeof CONNECTIONS)[][],
    config = {} as Partial<Config['contract']>,
  } = {},
) {
  const directory = mkdtempSync(join(tmpdir(), 'drain-'));
  const clock = join(directory, 'clock');
  const calls = join(directory, 'calls');
  const looks = join(directory, 'looks');
  for (const [index, names] of connections.entries())
    writeFileSync(`${looks}.${index + 1}`, names.map(name => `${CONNECTIONS[name]}\n`).join(''));
  // Functions of its shell, as a program for each of some hundred calls is two seconds of a processor.
  const clocked = (name: string, script: string) => `${name}() { read t <${clock}; ${script}; }`;
  const programs = [
    clocked('date', 'echo $((t / 1000))'),
    clocked('sleep', `echo $((t + 500)) >${clock}`),
    clocked(
      'curl',
      `read n <${calls}; n=$((n + 1)); echo $n >${calls}; set -- ${metrics.map(each => String(each).split(' ')[0]).join(' ')}
      [ $n -lt $# ] || n=$#; shift $((n - 1))
      case "$1" in refuses) return 22;; does) echo http_requests_total 5; return;; esac
      [ "$1" != hangs ] || { echo $((t + 3000)) >${clock}; return 28; }
      printf '# TYPE http_requests_in_flight gauge\\nhttp_requests_in_flight %s\\n' "$1"`,
    ),
    `getent() { echo "10.9.0.7 STREAM $2"; echo '10.9.0.7 DGRAM'; }`,
    `cat() {
      [ "$*" = /proc/net/tcp ] || { command cat "$@"; return; }
      read n <${looks}; n=$((n + 1)); echo $n >${looks}; [ -f ${looks}.$n ] || n=${connections.length}
      while read -r line; do echo "$line"; done <${looks}.$n
    }`,
  ];
  const seen: { seconds: number; timeout: number; calls: number; looks: number }[] = [];
  const c = await newCase({ frontend: false, contract: config });
  const api = c.read(API);
  c.write(API, api.replace(/(?<=proxy_read_timeout )\w+/g, answer));
  c.docker.shell = (script, timeout) => {
    if (!script.includes('ahostsv4')) return undefined;
    writeFileSync(clock, '1000000\n');
    writeFileSync(calls, '0\n');
    writeFileSync(looks, '0\n');
    const text = [...programs, script].join('\n');
    const { status, stdout, stderr } = spawnSync('sh', ['-c', text], { encoding: 'utf8' });
    const seconds = Number(readFileSync(clock, 'utf8')) / 1000 - 1000;
    seen.push({
      seconds,
      timeout,
      calls: Number(readFileSync(calls, 'utf8')),
      looks: Number(readFileSync(looks, 'utf8')),
    });
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
  assert.not.match(run.said, /stopping it/);
});

const said = (text: string, pattern: RegExp) => [...text.matchAll(new RegExp(pattern, 'g'))].length;
const EXPLAINED = /an instance is drained when Nginx has no open request to it/;

for (const [what, metrics, application, why] of [
  [
    'refuses to tell its count',
    'refuses',
    {},
    /\/api\/v1\/metrics of backend-[12] has no http_requests_in_flight/,
  ],
  ['has metrics without a count', 'does not count', {}, /has no http_requests_in_flight: an instance/],
  ['does not answer for its count', 'hangs', {}, /has no http_requests_in_flight: an instance/],
  ['has no metrics', 'refuses', { metricsPath: undefined }, /METRICS_PATH is none: an instance/],
] as const) {
  test(`an instance that ${what} is stopped when Nginx has no open request to it; a WebSocket does not count`, async () => {
    const { run, seen } = await drainedWith([metrics], {
      config: application,
      connections: [['request', 'socket'], [], ['opening'], ['other', 'closing', 'socket']],
    });
    assert.is(run.ended, 'done', run.said);
    assert.equal(
      seen.map(({ looks }) => looks),
      [6, 6],
    );
    for (const { seconds } of seen) assert.ok(seconds < 30, `${seconds} s`);
    assert.match(run.said, why);
    assert.is(said(run.said, EXPLAINED), 1, 'it is said once');
    assert.not.match(run.said, /stopping it/);
  });
}

test('an instance whose count begins to be told is drained by it', async () => {
  const { run } = await drainedWith(['hangs', 1, 0], { connections: [['request']] });
  assert.is(run.ended, 'done', run.said);
  assert.is(said(run.said, EXPLAINED), 0);
});

test('an instance whose connections do not end is stopped after the longest time of a request, with a warning', async () => {
  const { run, seen } = await drainedWith(['hangs'], { connections: [['request']] });
  assert.is(run.ended, 'done', run.said);
  assert.match(run.said, /backend-1 still has connections after 125 s; stopping it, which ends them/);
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
    script.includes('ahostsv4') && left-- > 0
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
  assert.not.match(run.said, /stopping it/);
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
  assert.match(run.said, /backend-2 still has requests after 20 s; stopping it/);
  for (const { seconds } of seen) assert.ok(seconds >= 20 && seconds < 25, `${seconds} s`);
});

/** A deployment in which the new backend-1 answers its first looks like this. @returns curl's timeout of each look */
async function readyWith(...looks: ('ready' | 'answers 503' | 'refuses' | 'hangs')[]) {
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
    const stderr = look === 'answers 503' ? 'curl: (22) The requested URL returned error: 503' : '';
    return { code: { ready: 0, 'answers 503': 22, refuses: 7, hangs: 28 }[look], stdout: '', stderr };
  };
  return { run: await c.deploy(), seconds };
}

test('an instance is back in the list when it is ready three times in a row', async () => {
  const { run, seconds } = await readyWith('ready', 'ready', 'refuses', 'ready', 'ready', 'ready');
  assert.is(run.ended, 'done', run.said);
  assert.is(seconds.length, 6);
});

test('a container that Docker lists and does not find any more is looked for again', async () => {
  const c = await newCase();
  const answer = c.docker.answer.bind(c.docker);
  let looks = 0;
  let gone = 0;
  c.docker.answer = (argv, env, timeout) => {
    if (argv.slice(0, 3).join(' ') !== 'docker container inspect' || looks++ % 3 === 0)
      return answer(argv, env, timeout);
    gone++;
    return { code: 1, stdout: '', stderr: `Error response from daemon: No such container: ${argv.at(-1)}` };
  };
  const run = await c.deploy();
  assert.is(run.ended, 'done', run.said);
  assert.ok(gone > 5, `${gone} times`);
});

test('an instance that does not answer fails after DEPLOY_READY_TIMEOUT, not later', async () => {
  const { run, seconds } = await readyWith('ready', 'ready', 'hangs');
  assert.is(run.ended, 'rolled back', run.said);
  assert.match(run.said, /backend-1 is not ready after 3 s: \/api\/v1\/health\/ready does not answer/);
  assert.is(seconds.length, 3);
  // After two pauses of 0.3 s, the rest of the time for the last look.
  assert.ok(seconds[2]! <= 2.4, `${seconds[2]} s`);
});

test('what an instance answered is said, also when the last look is cut short by DEPLOY_READY_TIMEOUT', async () => {
  const { run, seconds } = await readyWith('answers 503', 'hangs');
  assert.is(run.ended, 'rolled back', run.said);
  assert.match(run.said, /backend-1 is not ready after 3 s: \/api\/v1\/health\/ready answers 503/);
  assert.is(seconds.length, 2);
});

test.run();
