/* The health check of the machine, its flags and its output, without any server; see health-check.test.ts. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { healthCheck } from '../../scripts/health-check.ts';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { freePort } from '../../scripts/lib/drill/free-port.ts';
import { processesOf } from '../support/backup/faults.ts';
import { runHere } from '../support/cli/commands.ts';
import { executeHere } from '../support/cli/execute-here.ts';
import { fill, withDisk } from '../support/core/disk.ts';
import { captured } from '../support/core/here.ts';
import { refused } from '../support/core/in-process.ts';
import { startOnTerminal } from '../support/core/terminal.ts';
import { startScript, until } from '../support/core/world.ts';
import { turned } from '../support/health/health.ts';
import { looksAt } from '../support/health/looks.ts';
import { startReceiver } from '../support/notify/receiver.ts';

const directory = mkdtempSync(join(tmpdir(), 'health-machine-'));
process.once('exit', () => rmSync(directory, { recursive: true }));
/** Seconds that the clock of the store is ahead; it has no bucket. */
let ahead = 0;
const storeServer = createHttpServer((_, response) => {
  const date = new Date(Date.now() + ahead * 1000).toUTCString();
  response.writeHead(404, { date }).end();
});
/** @returns the port on which a server then listens */
async function listen(server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const nobody = String(await freePort());
const world = {
  directory,
  env: {
    HOME: directory,
    PATH: process.env.PATH!,
    POSTGRES_CONTAINER: '',
    PGHOST: '127.0.0.1',
    PGPORT: nobody,
    HTTPS_PORT: nobody,
    S3_BUCKET: 'bucket',
    S3_ENDPOINT: `http://127.0.0.1:${await listen(storeServer)}`,
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'no secret',
    BACKUP_DIR: join(directory, 'backups'),
    LOG_DIR: join(directory, 'logs'),
    STATE_DIR: join(directory, 'state'),
  } as Record<string, string>,
};
const { look, lookOutside, withProgram } = looksAt(world);
const configOf = (env: Record<string, string> = {}) => loadConfig('production', { ...world.env, ...env });
const run = (args: string[], env = {}) => startScript('health-check', args, { ...world.env, ...env }).ended;
const well = await look();

test('a clock ahead of or behind that of S3, and one that is not synchronised', async () => {
  const cases: [seconds: number, status: string, message: RegExp][] = [
    [60, 'warning', /^it is (59|60|1 min).* behind that of S3$/],
    [-60, 'warning', /^it is (59|60|1 min).* ahead of that of S3$/],
    [400, 'critical', /^it is 6 min .* behind that of S3$/],
  ];
  try {
    for (const [seconds, status, message] of cases) {
      ahead = seconds;
      const now = await look();
      assert.equal(turned(well, now), { clock: status });
      assert.match(now.services.clock!.message, message);
    }
  } finally {
    ahead = 0;
  }
  const says = (word: string) => withProgram('timedatectl', `#!/bin/sh\necho ${word}\n`);
  const off = await look(says('no'));
  assert.equal(turned(well, off), { clock: 'warning' });
  assert.match(off.services.clock!.message, /not synchronised.*timedatectl/);
  const on = await look({ ...says('yes'), S3_BUCKET: '' });
  assert.equal(turned(well, on), { 'backup-s3': 'warning' });
});

test('a disk fills up, runs out of inodes, or can’t be written', async () => {
  const disk = join(directory, 'disk');
  const size = 4 << 20;
  await withDisk(disk, size, async () => {
    const env = { LOG_DIR: disk };
    assert.equal(turned(well, await look(env)), {});
    const filler = fill(disk, size * 0.15);
    const nearly = await look(env);
    assert.equal(turned(well, nearly), { disk: 'warning' });
    assert.match(nearly.services.disk!.message, new RegExp(`^${disk} is 8\\d % full, .* KiB free$`));
    rmSync(filler);
    fill(disk, size * 0.05);
    assert.equal(turned(well, await look(env)), { disk: 'critical' });
    rmSync(filler);
    execFileSync('mount', ['-o', 'remount,nr_inodes=100', disk]);
    for (let i = 0; i < 92; i++) writeFileSync(join(disk, `file-${i}`), '');
    const inodes = await look(env);
    assert.equal(turned(well, inodes), { disk: 'critical' });
    assert.match(inodes.services.disk!.message, /9\d % of its inodes/);
  });
  await withDisk(disk, undefined, async () => {
    const now = await look({ LOG_DIR: disk });
    assert.equal(turned(well, now), { disk: 'critical' });
    assert.match(now.services.disk!.message, /mounted read-only/);
    const receiver = await startReceiver();
    try {
      const env = { STATE_DIR: disk, SLACK_WEBHOOK_URL: receiver.url };
      const told = await run(['--notify'], env);
      assert.is(told.code, 2, told.stderr);
      assert.match(told.stderr, /can't save the state of health/);
      assert.is(receiver.received.length, 1, 'it is notified anyway');
      assert.match(receiver.received[0]!.body, /health is CRITICAL.*critical disk: .* mounted read-only/);
    } finally {
      await receiver.stop();
    }
  });
});

test('an alert that could not be sent is sent by the next run', async () => {
  const receiver = await startReceiver();
  const state = join(directory, 'state of an unsent alert');
  const env = { STATE_DIR: state, SLACK_WEBHOOK_URL: receiver.url };
  const tell = () => captured(() => runHere(healthCheck, ['--notify'], configOf(env)));
  try {
    receiver.answer = 500;
    const unsent = await tell();
    assert.match(unsent.stderr, /could not notify Slack: it answered 500; queued/);
    receiver.answer = 200;
    receiver.received.length = 0;
    await tell();
    await tell();
    assert.is(receiver.received.length, 1);
    assert.match(receiver.received[0]!.body, /sent late.*health is CRITICAL/);
  } finally {
    await receiver.stop();
  }
});

test('Docker hangs and ignores SIGTERM: the report is complete', async () => {
  const broken = {
    'backend-1': 'critical',
    'backend-2': 'critical',
    versions: 'unknown',
    containers: 'critical',
    contract: 'unknown',
  };
  // What asks a store through it ends when told to; the list of containers does not.
  const hanging = withProgram(
    'docker',
    "#!/bin/bash\n[ $1 != exec ] || exec sleep 600\ntrap '' TERM\nfor i in {1..30}; do sleep 1; done\n",
  );
  const now = await lookOutside({ ...hanging, POSTGRES_CONTAINER: 'postgres', REDIS_PASSWORD: 'secret' });
  assert.equal(turned(well, now), { ...broken, redis: 'critical' });
  for (const name of ['postgres', 'redis', 'containers'])
    assert.match(now.services[name]!.message, /no answer in 4 s$/, name);
  const asking = () => processesOf(world).filter(({ cmdline }) => cmdline.startsWith('sleep 600'));
  await until('no process is left that ends when told to', () => asking().length === 0);
});

test('a server that takes connections and never answers, Nginx or S3, is not waited for', async () => {
  const server = createServer(() => {});
  const port = await listen(server);
  try {
    const now = await look({ HTTPS_PORT: String(port), S3_ENDPOINT: `http://127.0.0.1:${port}` });
    assert.equal(turned(well, now), { clock: 'unknown' });
    for (const name of ['api', 'frontend', 'certificate', 'clock'])
      assert.match(now.services[name]!.message, /no answer in 4 s/, name);
    assert.match(now.services['backup-s3']!.message, /timed out/);
  } finally {
    server.close();
    server.unref();
  }
});

test('--only, with names of lines and of pages; an unknown name lists the known ones', async () => {
  const config = configOf();
  const { json } = await runHere(healthCheck, ['--only', 'memory, postgres,backend'], config);
  const names = Object.keys((json as { services: object }).services);
  assert.equal(names, ['backend-1', 'backend-2', 'postgres', 'memory']);
  const refuse = (args: string[], what: RegExp) => refused(() => runHere(healthCheck, args, config), 2, what); // as a process: 3, see below
  await refuse(
    ['--only', 'postgres,nope'],
    /no check "nope"\n {2}→ use api, frontend, backend-1, .*clock\.$/m,
  );
  await refuse(['--only', 'postgres', '--notify'], /--notify can't be combined with --only/);
});

test('--nagios and --json keep their format after a configuration error', async () => {
  const bad = { PGPORT: 'many', S3_PREFIX: '/' };
  const nagios = await executeHere('health-check', ['--nagios'], { ...world.env, ...bad });
  assert.is(nagios.code, 3);
  assert.match(
    nagios.stdout,
    /^UNKNOWN - the configuration of production has 2 bad value\(s\): .*PGPORT[^\n]*\n$/,
  );
  const { exitCode, json } = healthCheck.failed!({ message: 'bad', hint: 'do better.', exitCode: 2 });
  assert.is(exitCode, 3);
  const { overall_status, services, error } = json as Record<string, unknown>;
  assert.equal([overall_status, services], ['unknown', {}]);
  assert.equal(error, { message: 'bad', hint: 'do better.', exitCode: 3 });
});

test('on a terminal: colours, and --watch until Ctrl+C; without one, --watch is refused', async () => {
  const piped = await run(['--only', 'memory']);
  assert.match(piped.stdout, /^✓ ok .*memory/);
  assert.not.ok(piped.stdout.includes('\x1b'));
  const none = await executeHere('health-check', ['--watch'], world.env);
  assert.is(none.code, 3);
  assert.match(none.stderr, /--watch needs a terminal/);

  const secret = { REDIS_PASSWORD: 'available' }; // a word of the line on memory
  const terminal = startOnTerminal(world, 'health-check', ['--only', 'memory,api', '--watch'], secret);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  await terminal.shows(/\x1b\[31m✗ critical/);
  await terminal.shows(/CRITICAL[\s\S]*CRITICAL/); // drawn twice
  terminal.type('\x03');
  assert.is(await terminal.ended, 130);
  assert.not.match(terminal.shown(), /error:/);
  assert.match(terminal.shown(), / % \*\*\*: /);
});

/** @returns what a terminal has shown of a run that Ctrl+C ends while a check waits for an answer */
async function cutShort(args: string[]): Promise<string> {
  const silent = createServer();
  const asked = once(silent, 'connection');
  const port = await listen(silent);
  try {
    const more = { HTTPS_PORT: `${port}` };
    const terminal = startOnTerminal(world, 'health-check', ['--only', 'api', ...args], more);
    const [socket] = (await asked) as [Socket];
    terminal.type('\x03');
    assert.is(await terminal.ended, 130);
    socket.destroy();
    return terminal.shown();
  } finally {
    silent.close();
  }
}

test('Ctrl+C while a check waits: --watch ends as intended, one look has changed nothing', async () => {
  assert.not.match(await cutShort(['--watch']), /error:|partial/);
  const shown = await cutShort([]);
  assert.match(shown, /interrupted by SIGINT\r\n {2}→ it had changed nothing: run the same command again/);
});

test('the server stops', () => {
  storeServer.close();
  storeServer.closeAllConnections();
});

test.run();
