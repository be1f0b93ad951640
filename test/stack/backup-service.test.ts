/*
 * The backup service: one backup into an object store, and the schedule, with its health check. Time does not pass
 * here: the state that the scheduler keeps says that a backup was due, and when the clock was last looked at.
 * test/long/stack/backup-service.test.ts waits for both, and has a database that is larger than the memory.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import { layOutBackupService } from './lib/backup-service.ts';
import { assertPrivileges, BACKUP } from './lib/privileges.ts';

const YEARLY = '0 0 1 1 *';
const LONG_AGO = new Date(Date.now() - 800 * 86_400_000).toISOString();

const service = await layOutBackupService(YEARLY);
const { stack, inspect, inside, manifests } = service;
const neverBackedUp = { heartbeat: LONG_AGO, jobs: { backup: { expression: YEARLY, due: LONG_AGO } } };

/** Waits until the backup that was due is done. */
async function caughtUp(): Promise<void> {
  await until('the backup that was due has ended', () => service.state().jobs.backup?.finished !== undefined);
  const { exitCode, due, finished } = service.state().jobs.backup!;
  assert.is(exitCode, 0);
  assert.is(due, `${finished!.slice(0, 4)}-01-01T00:00:00.000Z`);
}

/** What Docker asks of the container, asked now. */
async function healthCheck() {
  const [kind, ...command] = JSON.parse(await inspect('{{json .Config.Healthcheck.Test}}'));
  assert.is(kind, 'CMD');
  return stack.exec('backup', ...command);
}

async function isHealthy(): Promise<void> {
  await until('it is healthy', async () => {
    await sleep(300);
    return (await inspect('{{.State.Health.Status}}')) === 'healthy';
  });
}

test('one backup lies in backups/ of the server, verified, and in the object store', async () => {
  const script = './scripts/backup.ts --json && echo --- && ./scripts/list-backups.ts --json';
  const [made, list] = (await service.once('sh', '-c', script)).split('---');
  const { backup, offsite } = JSON.parse(made!);
  assert.is(offsite, 'done');
  assert.equal(manifests(), [`${backup.id}.json`]);
  const [{ id, local, s3: stored }, ...others] = JSON.parse(list!);
  assert.equal([id, local, stored, others], [backup.id, 'verified', 'verified', []], list);
});

test('it sees how much space PostgreSQL’s disk has left, and nothing else of its data', async () => {
  const directory = '/var/lib/postgresql/data';
  const look = `stat -f -c '%b %S' ${directory}; stat -c %d ${directory}; ls ${directory} 2>&1; touch ${directory}/x 2>&1`;
  // As the role of backups, which can't give anything to another owner, and may load a backup into a scratch database.
  const restore =
    './scripts/restore.ts latest --database copy --no-owners --dry-run 2>&1 && ./scripts/verify-backup.ts latest --load 2>&1';
  const [seen, said] = (await service.once('bash', '-c', `{ ${look}; } || true; echo ---; ${restore}`)).split(
    '\n---\n', // PostgreSQL's warnings have dashes, too
  );
  const [blocks, device, ...refusals] = seen!.trim().split('\n');
  const inside = await stack.exec('postgres', 'bash', '-c', look.split(' ls ')[0]!);
  assert.equal(`${blocks}\n${device}`, inside.stdout.trim());
  assert.match(refusals[0]!, /cannot open directory .*: Permission denied/);
  assert.match(refusals[1]!, /cannot touch .*: (Read-only file system|Permission denied)/);
  assert.match(said!, /dry run, nothing was changed/);
  assert.match(said!, /loaded and compared/);
  assert.not.match(said!, /disk space is not checked/);
});

test('the service backs up what is due, is healthy, and has half of its memory left', async () => {
  service.setState(neverBackedUp);
  await stack.compose('up', '--detach', '--wait', '--wait-timeout', '180', 'backup');
  await isHealthy();
  await caughtUp();
  assert.is(manifests().length, 2);
  const status = await inside('./scripts/schedule.ts', 'status');
  assert.match(status, /^backup .* exit status 0, after /m);
  assert.match(status, /; nothing is overdue$/m);

  const files = ['memory/memory.max_usage_in_bytes', 'memory/memory.limit_in_bytes'];
  const script = `cd /sys/fs/cgroup; cat memory.peak memory.max 2>/dev/null || cat ${files.join(' ')}`;
  const [peak, limit] = (await inside('sh', '-c', script)).split('\n').map(Number) as [number, number];
  assert.is(limit, 512 * 2 ** 20);
  assert.ok(peak > 0 && peak < limit / 2, `${peak} of ${limit} bytes`);
});

test('it has the variables, mounts, networks and secrets that it needs, and no other', () =>
  assertPrivileges(stack, 'backup', BACKUP, {
    ...stack.variables,
    ...service.s3.env,
  }));

test('a scheduler that hangs is unhealthy; after a restart it is healthy, and runs the missed jobs', async () => {
  await service.signal('STOP');
  assert.is((await healthCheck()).code, 0, 'nobody has waited for it so far');
  service.setState({ ...service.state(), heartbeat: new Date(Date.now() - 125_000).toISOString() });
  const { code, stdout } = await healthCheck();
  assert.is(code, 1);
  assert.match(stdout, /the scheduler last looked at the clock at /);

  await service.signal('CONT');
  await stack.docker('stop', stack.container('backup'));
  assert.is(await inspect('{{.State.ExitCode}} {{.State.OOMKilled}}'), '143 false', 'by SIGTERM, in time');
  const history = readFileSync(join(stack.directory, 'state/history.jsonl'), 'utf8');
  assert.match(history, /"script":"schedule\.ts","arguments":\["run"\].*"exitCode":143/);

  service.setState(neverBackedUp);
  await stack.docker('start', stack.container('backup'));
  await isHealthy();
  await caughtUp();
  assert.is(manifests().length, 3);
});

test('the servers stop', async () => {
  await service.s3.stop();
});

test.run();
