/* The backup service while time passes, and with more data than it has memory. */
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { layOutBackupService } from '../../stack/lib/backup-service.ts';
import { sql } from '../../stack/lib/visitor.ts';
import { until } from '../../support/core/world.ts';

const service = await layOutBackupService('* * * * *');
const { stack, inspect, manifests } = service;

async function healthIs(status: string, seconds: number): Promise<void> {
  await until(
    `it is ${status}`,
    async () => {
      await sleep(1000);
      return (await inspect('{{.State.Health.Status}}')) === status;
    },
    seconds,
  );
}

test('a database of more than its memory is backed up each minute', async () => {
  const rows = "SELECT i, decode(repeat(md5(i::text), 250), 'hex') FROM generate_series(1, 175000) AS i";
  await sql(
    stack,
    'CREATE TABLE large (i int, data bytea); ALTER TABLE large ALTER data SET STORAGE EXTERNAL',
  );
  await sql(stack, `INSERT INTO large ${rows}`);
  assert.ok(Number(await sql(stack, "SELECT pg_total_relation_size('large')")) > 600 * 2 ** 20);
  await stack.compose('up', '--detach', '--wait', '--wait-timeout', '180', 'backup');
  await until('a backup is there', () => manifests().length > 0, 600);
  await until('it is done', () => service.state().jobs.backup?.exitCode !== undefined, 600);
  assert.is(service.state().jobs.backup!.exitCode, 0);
  assert.is(await inspect('{{.State.OOMKilled}} {{.RestartCount}}'), 'false 0');
  await sql(stack, 'DROP TABLE large');
  const count = manifests().length;
  await until('the next minute has come', () => manifests().length > count, 300);
  await healthIs('healthy', 120);
});

test('a scheduler that hangs is unhealthy; when it continues, it is healthy and runs the missed jobs', async () => {
  await service.signal('STOP');
  await healthIs('unhealthy', 600);
  const count = manifests().length;
  await service.signal('CONT');
  await healthIs('healthy', 300);
  await until('it has caught up', () => manifests().length > count, 300);
});

test('the servers stop', async () => {
  await service.s3.stop();
});

test.run();
