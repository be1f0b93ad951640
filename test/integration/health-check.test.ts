/*
 * The health check where PostgreSQL and S3 are reached without Docker, as with a managed database; Nginx is not here.
 * What needs the stack itself is broken in test/stack/health-check.test.ts, and the machine in health-machine.test.ts.
 */
import { chownSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backUp } from '../../scripts/lib/backup/run-backup.ts';
import { stamp } from '../../scripts/lib/core/format.ts';
import { freePort } from '../../scripts/lib/drill/free-port.ts';
import { allChecks } from '../../scripts/lib/health/all-checks.ts';
import { formatNagios } from '../../scripts/lib/health/report.ts';
import { runChecks } from '../../scripts/lib/health/runner.ts';
import { processesOf } from '../support/backup/faults.ts';
import { configOf, plant } from '../support/backup/old-backups.ts';
import { executeHere } from '../support/cli/execute-here.ts';
import { finishHere } from '../support/core/in-process.ts';
import { createWorld, until } from '../support/core/world.ts';
import { turned } from '../support/health/health.ts';
import { HOUR, looksAt, withBackups } from '../support/health/looks.ts';
import { answers, startFaultProxy } from '../support/s3/fault-proxy.ts';

const world = await createWorld();
const proxy = await startFaultProxy(world.s3.endpoint, () => {});
const nobody = await freePort();
Object.assign(world.env, { S3_ENDPOINT: proxy.endpoint, HTTPS_PORT: String(nobody), LOAD_CHECK: 'off' });
const { look, lookOutside } = looksAt(world);
await world.sql('CREATE TABLE t AS SELECT i FROM generate_series(1, 100) AS i');
const made = await backUp(configOf(world, {}), { format: 'plain', upload: true });
assert.is(made.exitCode, 0, made.text);
const { id } = made.json.backup;
const well = await look();

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
    configuration: 'not configured',
    contract: 'not configured',
    certificate: 'critical',
    backup: 'ok',
    'backup-s3': 'ok',
    'backup-loaded': 'not configured',
    disk: 'ok',
    leftovers: 'ok',
    'old-installation': 'ok',
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
  const unknown = { versions: 'unknown', contract: 'unknown' };
  assert.equal(turned(well, now), { ...Object.fromEntries(broken), ...unknown });
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
  assert.equal(turned(well, await look()), {}, 'a database of another name does not count');
});

test('the newest backup against the schedule, here and in S3: in time, one missed, two missed, none', async () => {
  const cases: [ages: number[], status: string, message: RegExp][] = [
    [[2 * HOUR, 26 * HOUR], 'ok', /^the newest has the data of .* 2 h .*ago, /],
    [[4 * HOUR, 26 * HOUR], 'warning', /^one is missed: .* 4 h .*ago$/],
    [[28 * HOUR], 'critical', /^backups are missed: .* 1 d 4 h ago$/],
    [[], 'critical', /^there is no backup in /],
  ];
  for (const [ages, status, message] of cases) {
    const now = await look(await withBackups(world, id, ...ages));
    const expected = status === 'ok' ? {} : { backup: status, 'backup-s3': status };
    assert.equal(turned(well, now), expected, ages.join());
    for (const name of ['backup', 'backup-s3']) assert.match(now.services[name]!.message, message);
  }
});

test('each place has its own line; damaged and safety backups do not count', async () => {
  const env = await withBackups(world, id, 4 * HOUR);
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
  const env = { ...(await withBackups(world, id, 10 * HOUR)), SCHEDULE_BACKUP: 'off' };
  assert.equal(turned(well, await look(env)), {});
  const now = await look({ ...env, RPO_OBJECTIVE: '9h' });
  assert.equal(turned(well, now), { backup: 'critical', 'backup-s3': 'critical' });
});

test('S3 is not configured, refuses, fails or is gone: none of these is reported as a backup', async () => {
  const none = await look({ S3_BUCKET: '' });
  assert.equal(turned(well, none), { 'backup-s3': 'warning', clock: 'not configured' });
  assert.match(none.services['backup-s3']!.message, /^S3_BUCKET is empty: there is no off-site copy$/);
  assert.match(none.services['backup-s3']!.hint!, /^set S3_BUCKET and its keys in .*\.env\.production; /);
  try {
    proxy.fault = () => answers(403, 'AccessDenied');
    const refused = await look();
    assert.equal(turned(well, refused), { 'backup-s3': 'critical' });
    assert.match(refused.services['backup-s3']!.message, /AccessDenied.*HTTP 403/);
    proxy.fault = () => answers(503, 'ServiceUnavailable');
    proxy.seen.length = 0;
    const failing = await look();
    // And comes to its own end, before the check's time is over.
    assert.ok(proxy.seen.filter(({ method }) => method === 'GET').length > 1, 'tries again');
    assert.equal(turned(well, failing), { 'backup-s3': 'critical' });
    assert.match(failing.services['backup-s3']!.message, /HTTP 503/);
  } finally {
    proxy.fault = () => undefined;
  }
  const gone = await look({ S3_ENDPOINT: `http://127.0.0.1:${nobody}` });
  assert.equal(turned(well, gone), { 'backup-s3': 'critical', clock: 'unknown' });
  assert.match(gone.services['backup-s3']!.message, /ECONNREFUSED/);
});

test('--nagios keeps its format', async () => {
  const args = ['--only', 'postgres,disk,memory,api'];
  const line = await executeHere('health-check', ['--nagios', ...args], world.env);
  assert.is(line.code, 2);
  assert.match(
    line.stdout,
    /^CRITICAL - api: 127\.0\.0\.1:\d+ does not answer: [^|\n]*\|'postgres'=\d+%;80;95 'disk'=\d+%;80;90 'memory'=\d+%;20:;10:\n$/,
  );
  const fine = formatNagios(
    await runChecks(allChecks(configOf(world, {})).filter(({ name }) => name === 'postgres')),
  );
  assert.match(fine, /^OK - 1 check, nothing wrong\|'postgres'=\d+%;80;95$/);
});

test('the servers stop', async () => {
  await Promise.all([proxy.stop(), world.stop()]);
});

test.run();
