/* The backup service: one backup into an object store, and the schedule, with its health check. */
import { appendFileSync, chownSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startThrowawayS3 } from '../../scripts/lib/throwaway-s3.ts';
import { ensureEngine } from '../engine/engine.ts';
import { ensureImages } from '../images/images.ts';
import { until } from '../support/world.ts';
import { layOut, officialImages } from './lib/stack.ts';

const NODE = /^FROM (\S+)$/m.exec(readFileSync(join(import.meta.dirname, '../../Dockerfile'), 'utf8'))![1]!;
await ensureImages(await ensureEngine(), [...officialImages(), NODE]);

const stack = await layOut('production', { SCHEDULE_BACKUP: '* * * * *', SCHEDULE_DRILL: 'off' });
for (const name of ['backups', 'logs', 'state']) chownSync(join(stack.directory, name), 1000, 1000);
stack.atExit(['image', 'rm', '--force', `${stack.app}-production-backup`]);
await stack.compose('build', '--quiet', 'backup');
await stack.compose('up', '--detach', '--wait', '--wait-timeout', '180', 'postgres');
await stack.compose('create', 'backup');

// The service reaches this process by the gateway of its own network.
const network = [
  'network',
  'inspect',
  '--format',
  '{{(index .IPAM.Config 0).Gateway}}',
  `${stack.app}-production_egress`,
];
const s3 = await startThrowawayS3('bucket', (await stack.docker(...network)).trim());
const lines = Object.entries(s3.env).map(([name, value]) => `${name}='${value}'\n`);
appendFileSync(join(stack.directory, '.env.production'), lines.join(''));

const CONTAINER = stack.container('backup');
const one = (...command: string[]) => stack.compose('run', '--rm', '--no-deps', 'backup', ...command);
const inspect = async (format: string) =>
  (await stack.docker('inspect', '--format', format, CONTAINER)).trim();
const health = () => inspect('{{.State.Health.Status}}');
const backups = () => readdirSync(join(stack.directory, 'backups')).filter(name => name.endsWith('.json'));

async function inside(...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await stack.exec('backup', ...command);
  assert.is(code, 0, stderr);
  return stdout.trim();
}

test('one backup lies in backups/ of the server, verified, and in the object store', async () => {
  const { backup, offsite } = JSON.parse(await one('./scripts/backup.ts', '--json'));
  assert.is(offsite, 'done');
  assert.equal(backups(), [`${backup.id}.json`]);
  const list = await one('./scripts/list-backups.ts', '--json');
  const [{ id, local, s3: stored }, ...others] = JSON.parse(list);
  assert.equal([id, local, stored, others], [backup.id, 'verified', 'verified', []], list);
});

test('the service backs up when it is due, is healthy, and stays within its memory', async () => {
  await stack.compose('up', '--detach', '--wait', '--wait-timeout', '120', 'backup');
  assert.is(await health(), 'healthy');
  await until('a minute has come', () => backups().length > 1, 120);
  await until(
    'it is done',
    async () => /exit status 0/.test(await inside('./scripts/schedule.ts', 'status')),
    60,
  );
  assert.match(await inside('./scripts/schedule.ts', 'status'), /nothing is overdue/);
  const peak = Number(
    await inside(
      'sh',
      '-c',
      'cat /sys/fs/cgroup/memory.peak || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes',
    ),
  );
  assert.ok(peak < 512 * 2 ** 20, `${peak}`);
  assert.is(await inspect('{{.State.OOMKilled}}'), 'false');
});

test('one that stands still is unhealthy; one that goes on is healthy again, and has caught up', async () => {
  const mine = String.raw`tr '\0' ' ' <$p/cmdline | grep -q '^[^ ]*/node .*schedule.ts run'`;
  const script = `for p in /proc/[0-9]*; do ${mine} && basename $p; done; true`;
  const pids = (await inside('bash', '-c', script)).split('\n');
  const signal = (name: string) => inside('bash', '-c', `kill -${name} ${pids.join(' ')}`);
  await signal('STOP');
  await until('it is unhealthy', async () => (await health()) === 'unhealthy', 300);
  const count = backups().length;
  await signal('CONT');
  await until('it is healthy', async () => (await health()) === 'healthy', 120);
  await until('it has caught up', () => backups().length > count, 120);
});

test('docker stop: ended by SIGTERM, in time', async () => {
  await stack.docker('stop', CONTAINER);
  assert.is(await inspect('{{.State.ExitCode}}'), '143');
  const history = readFileSync(join(stack.directory, 'state/history.jsonl'), 'utf8');
  assert.match(history, /"script":"schedule\.ts","arguments":\["run"\].*"exitCode":143/);
});

test('the servers stop', async () => {
  await s3.stop();
});

test.run();
