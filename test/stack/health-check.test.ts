/*
 * A whole stack is broken in one way after another, and the report turns in exactly the lines that are about it.
 * Certificates are in health-certificates.test.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startThrowawayS3 } from '../../scripts/lib/drill/throwaway-s3.ts';
import { until } from '../support/core/world.ts';
import { startReceiver } from '../support/notify/receiver.ts';
import { healthOf, MACHINE } from './lib/health.ts';
import { upstreamIs } from './lib/puppet.ts';
import { sharedStack } from './lib/shared.ts';
import { sql } from './lib/visitor.ts';

const stack = await sharedStack();
const s3 = await startThrowawayS3();
const { well, script, untilTurned, withFault, whileStopped } = await healthOf(stack, {
  backup: true,
  env: s3.env,
});

test('all is well: every line of the stack', () => {
  const rest = { ...well.statuses };
  for (const name of MACHINE) delete rest[name];
  assert.equal(rest, {
    api: 'ok',
    frontend: 'ok',
    'backend-1': 'ok',
    'backend-2': 'ok',
    versions: 'ok',
    postgres: 'ok',
    redis: 'ok',
    containers: 'ok',
    configuration: 'ok',
    contract: 'ok',
    certificate: 'ok',
    backup: 'ok',
    'backup-s3': 'ok',
    'backup-loaded': 'ok',
    leftovers: 'ok',
    'old-installation': 'ok',
  });
  assert.match(well.services['backend-1']!.message, /^ready, version 1\.0\.0$/);
  assert.match(well.services.versions!.message, /^2 of 2 run 1\.0\.0$/);
  assert.match(
    well.services.postgres!.message,
    /^accepts writes; \d+ of 200 connections used; PostgreSQL 15/,
  );
  assert.match(well.services.redis!.message, /^primary; .* of 2\.00 GiB used; Redis 7/);
  assert.match(well.services.containers!.message, /^6 containers, all running and healthy$/);
  assert.is(well.services.contract!.message, 'the images keep it');
  assert.match(well.services.certificate!.message, /^valid for 89 d .* more; issued by/);
  assert.ok(well.services.certificate!.value! >= 98);
});

test('a backend is stopped: its line and the containers turn; the API still answers', () =>
  whileStopped('backend-2', async () => {
    const now = await untilTurned({ 'backend-2': 'critical', containers: 'critical' });
    assert.match(now.services['backend-2']!.message, /^its container is exited \(0\)$/);
    assert.match(now.services['backend-2']!.hint!, /up -d --no-recreate backend-2$/);
    assert.match(now.services.versions!.message, /^1 of 2 run/);
  }));

test('PostgreSQL hangs: its line and those that need it turn; the report is complete', () =>
  withFault(
    () => stack.docker('pause', stack.container('postgres')),
    () => stack.docker('unpause', stack.container('postgres')),
    async () => {
      const now = await untilTurned({
        api: 'critical',
        'backend-1': 'critical',
        'backend-2': 'critical',
        postgres: 'critical',
        containers: 'critical',
      });
      assert.match(now.services['backend-1']!.message, /^not ready: .*database.* \(503\)$/);
      assert.match(now.services.containers!.message, /^postgres is paused/);
    },
  ));

test('a data directory that musl has sorted: the line of PostgreSQL turns', () => {
  const database = stack.variables.POSTGRES_DB!;
  const set = (version: string) =>
    sql(stack, `UPDATE pg_database SET datcollversion = ${version} WHERE datname = '${database}'`);
  return withFault(
    () => set('NULL'),
    () => set('pg_database_collation_actual_version(oid)'),
    async () => {
      const now = await untilTurned({ postgres: 'critical' });
      assert.match(now.services.postgres!.message, /^its data directory comes from an image of Alpine: /);
    },
  );
});

test('Redis is stopped: its line and those that need it turn', () =>
  whileStopped('redis', async () => {
    const now = await untilTurned({
      api: 'critical',
      'backend-1': 'critical',
      'backend-2': 'critical',
      redis: 'critical',
      containers: 'critical',
    });
    assert.match(now.services.redis!.message, /is not running/);
  }));

test('another password for Redis than the one it has, and none', async () => {
  const password = { REDIS_PASSWORD: 'another-one' };
  const now = await untilTurned({ redis: 'critical', configuration: 'warning' }, password);
  assert.match(now.services.redis!.message, /REDIS_PASSWORD is not its password/);
  assert.match(now.services.configuration!.message, /^REDIS_URL does not say what /);
  await untilTurned({ redis: 'not configured', configuration: 'warning' }, { REDIS_PASSWORD: '' });
});

test('Nginx is stopped: all lines that need it turn', () =>
  whileStopped('nginx', async () => {
    const now = await untilTurned({
      api: 'critical',
      frontend: 'critical',
      certificate: 'critical',
      containers: 'critical',
    });
    assert.match(now.services.api!.message, /does not answer: .*ECONNREFUSED/);
  }));

test('maintenance mode, as maintenance.ts switches it, is a warning that names it', () => {
  const switched = async (action: string) => {
    const { code, stdout, stderr } = await script('maintenance', [action]);
    assert.is(code, 0, stderr);
    return stdout;
  };
  return withFault(
    async () => assert.match(await switched('on'), /answers 503\n.*answers 503$/m),
    () => switched('off'),
    async () => {
      const now = await untilTurned({ api: 'warning', frontend: 'warning' });
      assert.match(now.services.api!.message, /^maintenance mode: on since .*: all visitors get 503$/);
    },
  );
});

test('an instance that crashes over and over, and one with another version that gets requests', () => {
  const file = join(stack.directory, `.env.${stack.environment}.app`);
  const settings = readFileSync(file, 'utf8');
  const list = readFileSync(join(stack.directory, 'nginx/upstreams/backend.conf'), 'utf8');
  const up = ['--profile', 'scale', 'up', '--detach', '--no-deps', '--no-recreate'];
  const third = stack.container('backend-3');
  return withFault(
    async () => {
      writeFileSync(file, `${settings}APP_VARIANT=no-such\n`);
      await stack.compose(...up, 'backend-3');
    },
    async () => {
      writeFileSync(file, settings);
      await stack.docker('rm', '--force', third);
      await upstreamIs(stack, 'backend', list);
    },
    async () => {
      const restarts = ['inspect', '--format', '{{.RestartCount}}', third];
      await until('it has crashed twice', async () => Number(await stack.docker(...restarts)) > 1, 60);
      const crashing = await untilTurned({ containers: 'warning' });
      const said = /backend-3 (is restarting \(1\) after|has restarted) \d+ (restarts|times)/;
      assert.match(crashing.services.containers!.message, said);

      writeFileSync(file, `${settings}APP_VERSION=9.9.9\n`);
      await stack.docker('rm', '--force', third);
      await stack.compose(...up, '--wait', 'backend-3');
      await untilTurned({}); // one that gets no requests affects no line
      const line = list.split('\n')[0]!.replaceAll('backend-1', 'backend-3');
      await upstreamIs(stack, 'backend', `${list}${line}\n`);
      const differing = await untilTurned({ 'backend-3': 'ok', versions: 'warning' });
      assert.match(differing.services.versions!.message, /backend-1 runs 1\.0\.0, .*backend-3 runs 9\.9\.9$/);

      await stack.docker('rm', '--force', third);
      const gone = await untilTurned({ 'backend-3': 'critical', containers: 'critical' });
      assert.match(gone.services.containers!.message, /^backend-3 has no container$/);
    },
  );
});

/** Opens connections until there are so many, as clients that keep them, and end when they are ended. */
async function connectionsAre(wanted: number): Promise<void> {
  const count = async (of = '') =>
    Number(
      await sql(
        stack,
        `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name LIKE '%${of}'`,
      ),
    );
  const open = (more: number) => {
    const client = `
      const { Client } = require('pg');
      const connectionString = process.env.DATABASE_URL;
      for (let i = 0; i < ${more}; i++)
        new Client({ connectionString, application_name: 'load' }).on('error', () => process.exit()).connect();`;
    return stack.docker('exec', '--detach', stack.container('backend-1'), 'node', '-e', client);
  };
  let opened = await count('load');
  await until(`${wanted} connections`, async () => {
    if ((await count('load')) < opened) return false;
    const missing = wanted - (await count());
    if (missing <= 0) return true;
    // Again when the application has closed some of its own meanwhile.
    await open(missing);
    opened += missing;
    return false;
  });
}

test('connections of PostgreSQL used up, bit by bit', () =>
  withFault(
    () => connectionsAre(165),
    () =>
      sql(stack, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'load'"),
    async () => {
      const many = await untilTurned({ postgres: 'warning' });
      assert.match(many.services.postgres!.message, /^1[67]\d of 200 connections are used$/);
      await connectionsAre(192);
      const most = await untilTurned({ postgres: 'critical' });
      assert.ok(most.services.postgres!.value! >= 95);
    },
  ));

test('the frontend is stopped; a change of state is notified once, by one of two runs, and so is recovery', async () => {
  const receiver = await startReceiver();
  const texts = () => receiver.received.map(({ body }): string => JSON.parse(body).text);
  const notify = async (extra: Record<string, string> = {}) =>
    script('health-check', ['--json', '--notify'], { SLACK_WEBHOOK_URL: receiver.url, ...extra });
  const broken = { REDIS_PASSWORD: 'another-one', REDIS_URL: 'redis://:another-one@redis' };
  try {
    assert.is((await notify()).code, 0);
    assert.equal(texts(), [], 'a first run notifies only if something is wrong');
    const both = await Promise.all([notify(broken), notify(broken)]);
    for (const { code } of both) assert.is(code, 2);
    assert.is((await notify(broken)).code, 2);
    assert.is(texts().length, 1, texts().join('\n'));
    assert.match(
      texts()[0]!,
      /health is CRITICAL since .* UTC:\ncritical redis: .* → docs\/RUNBOOK\.md#redis$/,
    );

    await whileStopped('frontend', async () => {
      const now = await untilTurned({ frontend: 'critical', containers: 'critical' });
      assert.match(now.services.frontend!.message, /answers 50\d|no answer/);
      await untilTurned({ frontend: 'critical', redis: 'critical', containers: 'critical' }, broken);
      assert.is((await notify(broken)).code, 2);
      assert.is((await notify(broken)).code, 2);
      assert.is(texts().length, 2, 'more has broken');
      assert.match(
        texts()[1]!,
        /before critical:\ncritical frontend: .*\ncritical redis: .*\ncritical containers:/,
      );
    });

    assert.is((await notify()).code, 0);
    assert.is((await notify()).code, 0);
    assert.is(texts().length, 3);
    assert.match(
      texts()[2]!,
      /has recovered: it was critical \(frontend, redis, containers\) for .*, since .* UTC$/,
    );
    for (const text of texts()) assert.not.match(text, /another-one/);
  } finally {
    await receiver.stop();
  }
});

test('no password and no secret is in any output', async () => {
  const secrets = ['POSTGRES_PASSWORD', 'REDIS_PASSWORD', 'JWT_SECRET'].map(name => stack.variables[name]!);
  for (const args of [['--verbose'], ['--json'], ['--nagios']]) {
    const { code, stdout, stderr } = await script('health-check', args);
    assert.is(code, well.code, stderr);
    for (const secret of secrets) assert.not.ok((stdout + stderr).includes(secret), args.join());
  }
});

test('the store stops', () => s3.stop());

test.run();
