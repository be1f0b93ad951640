import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { notify, ping } from '../../../scripts/lib/notify/notify.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { captured } from '../../support/core/here.ts';
import { makeBackup } from '../../support/core/in-process.ts';
import { createWorld } from '../../support/core/world.ts';
import { startReceiver } from '../../support/notify/receiver.ts';

const world = await createWorld();
const [slack, pings] = await Promise.all([startReceiver(), startReceiver()]);
Object.assign(world.env, {
  SLACK_WEBHOOK_URL: `${slack.url}/SECRET`,
  BACKUP_PING_URL: `${pings.url}/SECRET`,
});
await world.sql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');

test('a restore into the live database is notified', async () => {
  await makeBackup(world, { upload: false });
  const { code, stderr } = await world.run('restore', ['latest', '--from', 'local', '--yes']);
  assert.is(code, 0, stderr);
  const texts = slack.received.map(({ body }) => JSON.parse(body).text);
  assert.is(texts.length, 1, stderr);
  assert.match(texts[0], /restored neurmatic_production_.* into app in/);
  assert.equal(pings.received, []);
});

test('receivers that never answer fail no run, and cause a warning', async () => {
  slack.answer = pings.answer = 'never';
  const config = configOf(world, {});
  // All notifications of a backup at once: a receiver that never answers is waited for ten seconds.
  const { code, error, stderr } = await captured(() =>
    Promise.all([ping(config, 'start'), notify(config, 'a backup', 0), ping(config, 0)]),
  );
  assert.is(code, 0, error);
  const warnings = stderr.match(/^warning: could not notify .*/gm) ?? [];
  assert.is(warnings.filter(line => line.includes('the dead-man’s-switch')).length, 2, stderr);
  assert.is(warnings.filter(line => line.includes('Slack')).length, 1, stderr);
  for (const warning of warnings) assert.match(warning, /timeout|no answer/i);
  assert.not.match(stderr, 'SECRET');
});

test('the servers stop', async () => {
  await Promise.all([slack.stop(), pings.stop(), world.stop()]);
});

test.run();
