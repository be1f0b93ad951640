import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backup } from '../../scripts/backup.ts';
import type { Command } from '../../scripts/lib/cli/command.ts';
import type { Options } from '../../scripts/lib/cli/help.ts';
import { logMissingChannels, notify, ping } from '../../scripts/lib/notify/notify.ts';
import { openSession } from '../../scripts/lib/postgres/session.ts';
import { restore } from '../../scripts/restore.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { runHere } from '../support/cli/commands.ts';
import { captured, here } from '../support/core/here.ts';
import { createWorld, type Ended, until } from '../support/core/world.ts';
import { type Receiver, startReceiver } from '../support/notify/receiver.ts';
import { assertNoSecrets } from '../support/postgres/live.ts';

const SLACK = '/services/T0SECRET/B0SECRET/x0SECRET';
const PING = '/ping-0b5e-SECRET';

const world = await createWorld();
const slack = await startReceiver();
const pings = await startReceiver();
await world.sql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');

let tests = 0;

/** The environment of one test; both receivers are well and have heard nothing. */
function fresh(extra: Record<string, string> = {}): Record<string, string> {
  const own = join(world.directory, `test-${++tests}`);
  for (const receiver of [slack, pings]) {
    receiver.received.length = 0;
    receiver.answer = 200;
  }
  return {
    BACKUP_DIR: join(own, 'backups'),
    LOG_DIR: join(own, 'logs'),
    STATE_DIR: join(own, 'state'),
    SLACK_WEBHOOK_URL: slack.url + SLACK,
    BACKUP_PING_URL: pings.url + PING,
    ...extra,
  };
}

/** What a script that is started with these arguments does, in this process. */
async function inThisProcess<O extends Options>(
  script: Command<O>,
  args: string[],
  env: Record<string, string>,
): Promise<Ended> {
  const done = await here(world, env, () => runHere(script, args, configOf(world, env)));
  const { exitCode = done.code, text = '' } = done.value ?? {};
  return { code: exitCode, signal: null, stdout: text, stderr: done.stderr };
}

const paths = (receiver: Receiver) => receiver.received.map(({ path }) => path);
const slackTexts = () => slack.received.map(({ body }): string => JSON.parse(body).text);

test('a backup that went well: start, 0, and what was backed up', async () => {
  const env = fresh();
  const done = await world.run('backup', ['--json'], env);
  assert.is(done.code, 0, done.stderr);
  const { id } = JSON.parse(done.stdout).backup;
  assert.equal(paths(pings), [`${PING}/start`, `${PING}/0`]);
  assert.equal(paths(slack), [SLACK]);
  assert.is(slack.received[0]!.method, 'POST');
  assert.match(
    slackTexts()[0]!,
    new RegExp(`^\\[neurmatic production\\] backup ${id}: .*1,000 rows.*off-site copy: done$`),
  );
  assertNoSecrets(done, env, ['SECRET', world.env.POSTGRES_PASSWORD!]);
});

test('a trailing slash of the ping’s address is ignored', async () => {
  await ping(configOf(world, fresh({ BACKUP_PING_URL: `${pings.url}${PING}/` })), 'start');
  assert.equal(paths(pings), [`${PING}/start`]);
});

const FAILURES: { what: string; env: Record<string, string>; code: number; says: RegExp }[] = [
  {
    what: 'off-site copy',
    env: { S3_BUCKET: 'no-such-bucket' },
    code: 4,
    says: /off-site copy: FAILED\nnothing was deleted/,
  },
  {
    what: 'PostgreSQL',
    env: { PGPORT: '1' },
    code: 1,
    says: /backup FAILED: PostgreSQL \(127\.0\.0\.1:1\) can't be used/,
  },
];

for (const { what, env: extra, code, says } of FAILURES) {
  test(`a failure is notified: ${what}`, async () => {
    const env = fresh(extra);
    const done = await inThisProcess(backup, [], env);
    assert.is(done.code, code, done.stderr);
    assert.equal(paths(pings), [`${PING}/start`, `${PING}/${code}`]);
    assert.is(slackTexts().length, 1);
    assert.match(slackTexts()[0]!, says);
    assertNoSecrets(done, env, ['SECRET', world.env.POSTGRES_PASSWORD!]);
  });
}

test('an interrupted backup is notified', async () => {
  const env = fresh();
  const holder = openSession(world.pg.postgres, world.database);
  await holder.execute('BEGIN');
  await holder.execute('LOCK TABLE public.t');
  const run = world.start('backup', ['--no-upload'], env);
  await run.shows(/waiting for a lock on public\.t/);
  run.child.kill('SIGTERM');
  const done = await run.ended;
  const waits = () => world.rows('SELECT pid FROM pg_locks WHERE NOT granted');
  await until('nothing of it waits in the server', async () => (await waits()).length === 0);
  await holder.close();
  assert.is(done.code, 143, done.stderr);
  assert.equal(paths(pings), [`${PING}/start`, `${PING}/143`]);
  assert.match(slackTexts()[0]!, /backup FAILED: interrupted by SIGTERM/);
});

/** One that never answers, which takes ten seconds: test/long/integration/notify.test.ts, test/integration/outbox.test.ts. */
const ILLS: Record<string, { answer?: Receiver['answer']; env?: Record<string, string>; says: RegExp }> = {
  'answer 404': { answer: 404, says: /it answered 404/ },
  'hang up': { answer: 'hangs up', says: /other side closed|ECONNRESET|socket/ },
  'are down': {
    env: { SLACK_WEBHOOK_URL: `http://127.0.0.1:1${SLACK}`, BACKUP_PING_URL: `http://127.0.0.1:1${PING}` },
    says: /ECONNREFUSED|bad port/,
  },
  'have no address': {
    env: {
      SLACK_WEBHOOK_URL: `http://receiver.invalid${SLACK}`,
      BACKUP_PING_URL: `http://receiver.invalid${PING}`,
    },
    says: /ENOTFOUND|EAI_AGAIN/,
  },
};

/** Asserts that a run which has told both said of each that it could not. */
function assertSaid(stderr: string, says: RegExp): void {
  const warnings = stderr.match(/^warning: could not notify .*/gm) ?? [];
  assert.is(warnings.filter(line => line.includes('the dead-man’s-switch')).length, 2, stderr);
  assert.is(warnings.filter(line => line.includes('Slack')).length, 1, stderr);
  for (const warning of warnings) assert.match(warning, says);
  assert.not.match(stderr, 'SECRET');
}

test('receivers that answer 500 fail no backup, and cause a warning', async () => {
  const env = fresh();
  slack.answer = pings.answer = 500;
  const done = await inThisProcess(backup, ['--no-upload'], env);
  assert.is(done.code, 0, done.stderr);
  assert.is(readdirSync(env.BACKUP_DIR!).filter(name => name.endsWith('.json')).length, 1);
  assertSaid(done.stderr, /it answered 500/);
  assertNoSecrets(done, env, ['SECRET']);
});

for (const [what, { answer, env: extra, says }] of Object.entries(ILLS)) {
  test(`receivers that ${what} fail no run, and cause a warning`, async () => {
    const config = configOf(world, fresh(extra));
    if (answer !== undefined) slack.answer = pings.answer = answer;
    // All notifications of a backup at once: a receiver that never answers is waited for ten seconds.
    const { code, error, stderr } = await captured(() =>
      Promise.all([ping(config, 'start'), notify(config, 'a backup', 0), ping(config, 0)]),
    );
    assert.is(code, 0, error);
    assertSaid(stderr, says);
  });
}

test('channels that are not configured are logged', async () => {
  const config = configOf(world, fresh({ SLACK_WEBHOOK_URL: '', BACKUP_PING_URL: '' }));
  const { stderr } = await captured(async () => logMissingChannels(config));
  assert.match(stderr, /^notifications not configured: SLACK_WEBHOOK_URL, WEBHOOK_URL, BACKUP_PING_URL$/m);
  const some = await captured(async () => logMissingChannels(configOf(world, fresh())));
  assert.match(some.stderr, /^notifications not configured: WEBHOOK_URL$/m);
});

test('a dry run sends no notification', async () => {
  const done = await inThisProcess(backup, ['--dry-run'], fresh());
  assert.is(done.code, 0, done.stderr);
  assert.equal([...slack.received, ...pings.received], []);
});

/** One that succeeds: test/long/integration/notify.test.ts. */
test('a restore is notified, but not to the dead man’s switch of backups', async () => {
  const env = fresh();
  const failed = await inThisProcess(restore, ['neurmatic_production_20200101_000000', '--yes'], env);
  assert.is(failed.code, 3, failed.stderr);
  assert.match(
    slackTexts()[0]!,
    /restore of neurmatic_production_20200101_000000 FAILED: there is no verified backup/,
  );
  assert.equal(paths(pings), []);
  assertNoSecrets(failed, env, ['SECRET', world.env.POSTGRES_PASSWORD!]);
});

test('the servers stop', async () => {
  await Promise.all([slack.stop(), pings.stop(), world.stop()]);
});

test.run();
