/*
 * The health check where PostgreSQL and S3 are reached without Docker, as with a managed database; Nginx is not here.
 * What needs the stack itself is broken in test/stack/health-check.test.ts.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { quote } from 'zx/core';
import { healthCheck } from '../../scripts/health-check.ts';
import { backUp } from '../../scripts/lib/backup/run-backup.ts';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { stamp } from '../../scripts/lib/core/format.ts';
import { freePort } from '../../scripts/lib/drill/free-port.ts';
import { allChecks } from '../../scripts/lib/health/all-checks.ts';
import { formatNagios, jsonReport, OVERALL, overallOf } from '../../scripts/lib/health/report.ts';
import { runChecks } from '../../scripts/lib/health/runner.ts';
import { processesOf } from '../support/backup/faults.ts';
import { configOf, plant, store } from '../support/backup/old-backups.ts';
import { runHere } from '../support/cli/commands.ts';
import { fill, withDisk } from '../support/core/disk.ts';
import { captured } from '../support/core/here.ts';
import { finishHere, refused } from '../support/core/in-process.ts';
import { programsBut } from '../support/core/programs.ts';
import { startOnTerminal } from '../support/core/terminal.ts';
import { createWorld, startProgram, until } from '../support/core/world.ts';
import { type Report, reportOf, turned } from '../support/health/health.ts';
import { startReceiver } from '../support/notify/receiver.ts';
import { answers, hangs, passes, startFaultProxy } from '../support/s3/fault-proxy.ts';

const world = await createWorld();
const proxy = await startFaultProxy(world.s3.endpoint, () => {});
const nobody = await freePort();
const programs = programsBut(join(world.directory, 'programs'), world.env.PATH!, /^(docker|timedatectl)$/);
Object.assign(world.env, { PATH: programs, S3_ENDPOINT: proxy.endpoint, HTTPS_PORT: String(nobody) });
await world.sql('CREATE TABLE t AS SELECT i FROM generate_series(1, 100) AS i');
process.env.PATH = programs; // this process makes the backup, and most of the checks
const made = await backUp(configOf(world, {}), { format: 'plain', upload: true });
assert.is(made.exitCode, 0, made.text);
const { id } = made.json.backup;

/** The checks in this process, with the environment of a script. */
async function look(env: Record<string, string> = {}): Promise<Report> {
  process.env.PATH = env.PATH ?? programs;
  try {
    const config = configOf(world, env);
    const results = await runChecks(allChecks(config));
    const overall = overallOf(results);
    const stdout = JSON.stringify(jsonReport(config.environment, overall, results));
    return reportOf({ code: OVERALL[overall].code, signal: null, stdout, stderr: '' });
  } finally {
    process.env.PATH = programs;
  }
}

/** The same as a process: what is left of it, what it does when something hangs, its flags. */
const lookOutside = async (env: Record<string, string> = {}, ...args: string[]) =>
  reportOf(await world.run('health-check', ['--json', ...args], env));
const well = await look();

/** Another PATH, on which one more program comes first. */
function withProgram(name: string, script: string): Record<string, string> {
  const directory = join(world.directory, `first-${stamp(new Date())}-${Math.random()}`);
  mkdirSync(directory);
  writeFileSync(join(directory, name), script);
  chmodSync(join(directory, name), 0o755);
  return { PATH: `${directory}:${programs}` };
}

test('without Docker and Nginx the report is complete and shows what is not configured', async () => {
  assert.equal(turned(well, await lookOutside()), {}, 'as a process, too');
  assert.equal(well.statuses, {
    api: 'critical',
    frontend: 'critical',
    'backend-1': 'not configured',
    'backend-2': 'not configured',
    versions: 'not configured',
    postgres: 'ok',
    redis: 'not configured',
    containers: 'not configured',
    certificate: 'critical',
    backup: 'ok',
    'backup-s3': 'ok',
    disk: 'ok',
    memory: 'ok',
    clock: 'ok',
  });
  assert.match(well.services.containers!.message, /no docker here, and POSTGRES_CONTAINER is empty/);
  assert.match(well.services.backup!.message, /^the newest has the data of .* UTC, .* s ago, \d+ B$/);
  assert.match(well.services.clock!.message, /agrees with that of S3/);
});

test('without docker where PostgreSQL is reached through it: critical', async () => {
  const now = await look({ POSTGRES_CONTAINER: 'somewhere' });
  const broken = ['backend-1', 'backend-2', 'postgres', 'containers'].map(name => [name, 'critical']);
  assert.equal(turned(well, now), { ...Object.fromEntries(broken), versions: 'unknown' });
  assert.match(now.services.containers!.message, /^there is no docker on PATH$/);
});

test('PostgreSQL: a wrong password, a missing database, a stopped server', async () => {
  const wrong = await look({ POSTGRES_PASSWORD: 'wrong' });
  assert.equal(turned(well, wrong), { postgres: 'critical' });
  assert.match(wrong.services.postgres!.message, /password authentication failed/);
  const other = await look({ POSTGRES_DB: 'not-there' });
  assert.equal(turned(well, other), { postgres: 'critical', backup: 'critical', 'backup-s3': 'critical' });
  assert.match(other.services.postgres!.message, /database "not-there" does not exist/);
  await world.pg.halt();
  try {
    const gone = await look();
    assert.equal(turned(well, gone), { postgres: 'critical' });
    assert.match(gone.services.postgres!.message, /Connection refused/);
  } finally {
    await world.pg.resume();
  }
});

test('PostgreSQL hangs: its line says so, and no process is left', async () => {
  const postmaster = Number(
    readFileSync(join(world.pg.directory!, 'data/postmaster.pid'), 'utf8').split('\n')[0],
  );
  process.kill(postmaster, 'SIGSTOP');
  try {
    const now = await lookOutside();
    assert.equal(turned(well, now), { postgres: 'critical' });
    assert.match(now.services.postgres!.message, /no answer in 4 s$/);
    await until('no process is left', () => processesOf(world).length === 0);
  } finally {
    process.kill(postmaster, 'SIGCONT');
  }
});

test('PostgreSQL is read-only: by a setting, and as a standby', async () => {
  await world.sql('ALTER DATABASE app SET default_transaction_read_only = on');
  try {
    const now = await look();
    assert.equal(turned(well, now), { postgres: 'critical' });
    assert.match(now.services.postgres!.message, /default_transaction_read_only/);
  } finally {
    await world.sql('ALTER DATABASE app RESET ALL', 'postgres');
  }
  const signal = join(world.pg.directory!, 'data/standby.signal');
  await world.pg.halt();
  writeFileSync(signal, '');
  const { uid, gid } = statSync(join(world.pg.directory!, 'data'));
  chownSync(signal, uid, gid);
  try {
    await world.pg.resume();
    const now = await look();
    assert.equal(turned(well, now), { postgres: 'critical' });
    assert.match(now.services.postgres!.message, /in recovery/);
  } finally {
    await world.pg.halt();
    rmSync(signal, { force: true });
    await world.pg.resume();
  }
  assert.equal(turned(well, await look()), {});
});

test('a kept database is reported, after a week as a warning', async () => {
  const kept = (days: number) => `app_before_${stamp(new Date(Date.now() - days * 86_400_000))}`;
  const [fresh, old] = [kept(6.9), kept(7.1)];
  await world.sql(`CREATE DATABASE ${fresh}`, 'postgres');
  const told = await look();
  assert.equal(turned(well, told), {});
  assert.match(told.services.postgres!.message, `a restore has kept ${fresh}`);
  await world.sql(`CREATE DATABASE ${old}`, 'postgres');
  const late = await look();
  assert.equal(turned(well, late), { postgres: 'warning' });
  assert.match(
    late.services.postgres!.message,
    new RegExp(`^${old} has been kept for 7 d .*restore.ts --finish`),
  );
  await world.sql('CREATE DATABASE app_before_elections', 'postgres');
  await finishHere(world);
  assert.equal(turned(well, await look()), {}, 'another’s database is none of ours');
});

const HOUR = 1 / 24;

/** A schedule on which a backup was due three hours ago, and one each day before. */
function dueThreeHoursAgo(): Record<string, string> {
  const due = new Date(Date.now() - 3 * 3_600_000);
  return { SCHEDULE_BACKUP: `${due.getUTCMinutes()} ${due.getUTCHours()} * * *` };
}

let places = 0;

/** A backup directory and a prefix in S3 with nothing but backups of these ages. */
async function withBackups(...ages: number[]): Promise<Record<string, string>> {
  const into = join(world.directory, `backups-${++places}`);
  const env = { ...dueThreeHoursAgo(), BACKUP_DIR: into, S3_PREFIX: `ages-${places}` };
  mkdirSync(into);
  for (const days of ages) {
    const manifest = await plant(world.env.BACKUP_DIR!, id, { days }, into);
    await store(world, env, manifest);
  }
  return env;
}

test('the newest backup against the schedule, here and in S3: in time, one missed, two missed, none', async () => {
  const cases: [ages: number[], status: string, message: RegExp][] = [
    [[2 * HOUR, 26 * HOUR], 'ok', /^the newest has the data of .* 2 h .*ago, /],
    [[4 * HOUR, 26 * HOUR], 'warning', /^one is missed: .* 4 h .*ago$/],
    [[28 * HOUR], 'critical', /^backups are missed: .* 1 d 4 h ago$/],
    [[], 'critical', /^there is no backup in /],
  ];
  for (const [ages, status, message] of cases) {
    const now = await look(await withBackups(...ages));
    const expected = status === 'ok' ? {} : { backup: status, 'backup-s3': status };
    assert.equal(turned(well, now), expected, ages.join());
    for (const name of ['backup', 'backup-s3']) assert.match(now.services[name]!.message, message);
  }
});

test('each place has its own line; damaged and safety backups do not count', async () => {
  const env = await withBackups(4 * HOUR);
  await plant(world.env.BACKUP_DIR!, id, { days: 2 * HOUR }, env.BACKUP_DIR);
  assert.equal(turned(well, await look(env)), { 'backup-s3': 'warning' });

  const cut = await plant(world.env.BACKUP_DIR!, id, { days: HOUR }, env.BACKUP_DIR);
  truncateSync(join(env.BACKUP_DIR!, cut.artifact.name), 10);
  const safety = { days: 0.5 * HOUR, manifest: { safety: true } };
  await plant(world.env.BACKUP_DIR!, id, safety, env.BACKUP_DIR);
  const now = await look(env);
  assert.equal(turned(well, now), { 'backup-s3': 'warning' });
  assert.match(now.services.backup!.message, / 2 h .*ago/);
});

test('without a schedule, RPO_OBJECTIVE is the limit', async () => {
  const env = { ...(await withBackups(10 * HOUR)), SCHEDULE_BACKUP: 'off' };
  assert.equal(turned(well, await look(env)), {});
  const now = await look({ ...env, RPO_OBJECTIVE: '9h' });
  assert.equal(turned(well, now), { backup: 'critical', 'backup-s3': 'critical' });
});

test('S3: not configured, refusing, ill, gone; none of it passes for a backup', async () => {
  const none = await look({ S3_BUCKET: '' });
  assert.equal(turned(well, none), { 'backup-s3': 'not configured', clock: 'not configured' });
  try {
    proxy.fault = () => answers(403, 'AccessDenied');
    const refused = await look();
    assert.equal(turned(well, refused), { 'backup-s3': 'critical' });
    assert.match(refused.services['backup-s3']!.message, /AccessDenied.*HTTP 403/);
    proxy.fault = () => answers(503, 'ServiceUnavailable');
    proxy.seen.length = 0;
    const ill = await look();
    assert.is(
      proxy.seen.filter(({ method }) => method === 'GET').length,
      2,
      'tries twice, not for half a minute',
    );
    assert.equal(turned(well, ill), { 'backup-s3': 'critical' });
    assert.match(ill.services['backup-s3']!.message, /HTTP 503/);
  } finally {
    proxy.fault = () => undefined;
  }
  const gone = await look({ S3_ENDPOINT: `http://127.0.0.1:${nobody}` });
  assert.equal(turned(well, gone), { 'backup-s3': 'critical', clock: 'unknown' });
  assert.match(gone.services['backup-s3']!.message, /ECONNREFUSED/);
});

test('a clock ahead of or behind that of S3, and one that is not synchronised', async () => {
  const shift = (seconds: number) => () =>
    passes(headers => {
      headers.date = new Date(Date.now() + seconds * 1000).toUTCString();
    });
  const cases: [seconds: number, status: string, message: RegExp][] = [
    [60, 'warning', /^it is (59|60|1 min).* behind that of S3$/],
    [-60, 'warning', /^it is (59|60|1 min).* ahead of that of S3$/],
    [400, 'critical', /^it is 6 min .* behind that of S3$/],
  ];
  try {
    for (const [seconds, status, message] of cases) {
      proxy.fault = shift(seconds);
      const now = await look();
      assert.equal(turned(well, now), { clock: status });
      assert.match(now.services.clock!.message, message);
    }
  } finally {
    proxy.fault = () => undefined;
  }
  const says = (word: string) => withProgram('timedatectl', `#!/bin/sh\necho ${word}\n`);
  const off = await look(says('no'));
  assert.equal(turned(well, off), { clock: 'warning' });
  assert.match(off.services.clock!.message, /not synchronised.*timedatectl/);
  const on = await look({ ...says('yes'), S3_BUCKET: '' });
  assert.equal(turned(well, on), { 'backup-s3': 'not configured' });
});

test('a disk fills up, runs out of inodes, or can’t be written', async () => {
  const disk = join(world.directory, 'disk');
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
      const told = await world.run('health-check', ['--notify'], env);
      assert.is(told.code, 2, told.stderr);
      assert.match(told.stderr, /can't save the state of health/);
      assert.is(receiver.received.length, 1, 'told all the same');
      assert.match(receiver.received[0]!.body, /health is CRITICAL.*critical disk: .* mounted read-only/);
    } finally {
      await receiver.stop();
    }
  });
});

test('an alert that could not be sent is sent by the next run', async () => {
  const receiver = await startReceiver();
  const state = join(world.directory, 'state of an unheard alert');
  const env = { STATE_DIR: state, SLACK_WEBHOOK_URL: receiver.url, PGPORT: '1' };
  const tell = () => captured(() => runHere(healthCheck, ['--notify'], configOf(world, env)));
  try {
    receiver.answer = 500;
    const unheard = await tell();
    assert.match(unheard.stderr, /could not notify Slack: it answered 500; queued/);
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

test('memory runs low', async () => {
  const meminfo = join(world.directory, 'meminfo');
  const check = join(ROOT, 'scripts/lib/health/checks/memory.ts');
  const cases = [
    [2_500_000, 'ok'],
    [1_900_000, 'warning'],
    [900_000, 'critical'],
  ] as const;
  writeFileSync(meminfo, '');
  const program = `const { memory } = await import('${check}');
    for (const available of process.argv.slice(1)) {
      fs.writeFileSync('/proc/meminfo', 'MemTotal: 10000000 kB\\nMemAvailable: ' + available + ' kB\\n');
      console.log(JSON.stringify(await memory().run()));
    }`;
  const command = `mount --bind ${quote(meminfo)} /proc/meminfo; exec "$@"`;
  const node = [process.execPath, '-e', program, ...cases.map(([available]) => String(available))];
  const { ended } = startProgram('unshare', ['--mount', 'bash', '-c', command, 'bash', ...node], world.env);
  const { code, stdout, stderr } = await ended;
  assert.is(code, 0, stderr);
  const findings = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
  assert.equal(
    findings.map(({ status }) => status),
    cases.map(([, status]) => status),
  );
  for (const { message } of findings) assert.match(message, /^\d+ % available: .* [GM]iB of 9\.54 GiB$/);
});

test('Docker hangs and ignores SIGTERM: the report is complete', async () => {
  const broken = {
    'backend-1': 'critical',
    'backend-2': 'critical',
    versions: 'unknown',
    containers: 'critical',
  };
  // What asks a store through it ends when told to; the list of containers does not.
  const hanging = withProgram(
    'docker',
    "#!/bin/bash\n[ $1 != exec ] || exec sleep 600\ntrap '' TERM\nfor i in {1..30}; do sleep 1; done\n",
  );
  const now = await lookOutside({ ...hanging, POSTGRES_CONTAINER: 'postgres', REDIS_PASSWORD: 'secret' });
  assert.equal(turned(well, now), { ...broken, postgres: 'critical', redis: 'critical' });
  for (const name of ['postgres', 'redis', 'containers'])
    assert.match(now.services[name]!.message, /no answer in 4 s$/, name);
  const asking = () => processesOf(world).filter(({ cmdline }) => cmdline.startsWith('sleep 600'));
  await until('no process is left that ends when told to', () => asking().length === 0);
});

test('who takes connections and never answers, Nginx or S3, is not waited for', async () => {
  const server = createServer(() => {});
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as { port: number };
    proxy.fault = () => hangs(); // S3
    const now = await look({ HTTPS_PORT: String(port) });
    assert.equal(turned(well, now), { 'backup-s3': 'critical', clock: 'unknown' });
    for (const name of ['api', 'frontend', 'certificate', 'clock'])
      assert.match(now.services[name]!.message, /no answer in 4 s/, name);
    assert.match(now.services['backup-s3']!.message, /timed out/);
  } finally {
    proxy.fault = () => undefined;
    server.close();
    server.unref();
  }
});

test('--only, with names of lines and of what several share; an unknown one lists what there is', async () => {
  const config = configOf(world, {});
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

test('--nagios and --json keep their format, also after a configuration error', async () => {
  const args = ['--only', 'postgres,disk,memory,api'];
  const line = await world.run('health-check', ['--nagios', ...args]);
  assert.is(line.code, 2);
  assert.match(
    line.stdout,
    /^CRITICAL - api: 127\.0\.0\.1:\d+ does not answer: [^|\n]*\|'postgres'=\d+%;80;95 'disk'=\d+%;80;90 'memory'=\d+%;20:;10:\n$/,
  );
  const fine = formatNagios(
    await runChecks(allChecks(configOf(world, {})).filter(({ name }) => name === 'postgres')),
  );
  assert.match(fine, /^OK - 1 check, nothing wrong\|'postgres'=\d+%;80;95$/);
  const bad = { PGPORT: 'many', S3_PREFIX: '/' };
  const nagios = await world.run('health-check', ['--nagios'], bad);
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
  const piped = await world.run('health-check', ['--only', 'memory']);
  assert.match(piped.stdout, /^✓ ok .*memory/);
  assert.not.ok(piped.stdout.includes('\x1b'));
  const none = await world.run('health-check', ['--watch']);
  assert.is(none.code, 3);
  assert.match(none.stderr, /--watch needs a terminal/);

  const secret = { REDIS_PASSWORD: 'available' }; // a word of the line on memory
  const terminal = startOnTerminal(world, 'health-check', ['--only', 'memory,api', '--watch'], secret);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  await terminal.shows(/\x1b\[31m✗ critical/);
  await terminal.shows(/CRITICAL[\s\S]*CRITICAL/); // drawn twice
  assert.match(terminal.shown(), / % \*\*\*: /);
  terminal.type('\x03');
  assert.is(await terminal.ended, 130);
  assert.not.match(terminal.shown(), /error:/);
});

test('the servers stop', async () => {
  await Promise.all([proxy.stop(), world.stop()]);
});

test.run();
