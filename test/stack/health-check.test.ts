/*
 * A whole stack is broken in one way after another, and the report turns in exactly the lines that are about it.
 * The script runs from the stack's own checkout, as on a server.
 */
import { appendFileSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Report, reportOf, turned } from '../support/health.ts';
import { startReceiver } from '../support/receiver.ts';
import { type Ended, startProgram, until } from '../support/world.ts';
import { reload, upstreamIs } from './lib/puppet.ts';
import { ROOT, startStack } from './lib/stack.ts';

const stack = await startStack();
symlinkSync(join(ROOT, 'node_modules'), join(stack.directory, 'node_modules'));
const authority = join(stack.directory, 'authority.pem');
writeFileSync(authority, stack.ca);
// The file's quotes are Compose's; a shell's are not needed here.
const env = {
  ...(stack.engine.env as Record<string, string>),
  ...stack.variables,
  NODE_EXTRA_CA_CERTS: authority,
};

function script(name: string, args: string[] = [], extra: Record<string, string> = {}): Promise<Ended> {
  return startProgram(join(stack.directory, `scripts/${name}.ts`), args, { ...env, ...extra }).ended;
}

const look = async (extra: Record<string, string> = {}, ...args: string[]) =>
  reportOf(await script('health-check', ['--json', ...args], extra));

/** Starts services again, waits until Docker calls them healthy, and sees that all is as it was. */
async function mend(...services: string[]): Promise<void> {
  if (services.length > 0) await stack.compose('up', '--detach', '--wait', '--no-recreate', ...services);
  let last: Record<string, string> = {};
  await until(
    'all is well again',
    async () => {
      last = turned(well, await look());
      return Object.keys(last).length === 0;
    },
    90,
  ).catch(error => {
    throw new Error(`${(error as Error).message}: ${JSON.stringify(last)}`);
  });
}

const sql = async (text: string) => {
  const psql = ['psql', '-qAt', '-U', stack.variables.POSTGRES_USER!, '-d', stack.variables.POSTGRES_DB!];
  const { code, stdout, stderr } = await stack.exec('postgres', ...psql, '-c', text);
  assert.is(code, 0, stderr);
  return stdout.trim();
};

const backup = await script('backup');
assert.is(backup.code, 0, backup.stderr);
const well: Report = await look();

test('all is well: every line of the stack, in a second or so', async () => {
  const { disk: _, memory: __, clock: ___, ...rest } = well.statuses; // this machine's
  assert.equal(rest, {
    api: 'ok',
    frontend: 'ok',
    'backend-1': 'ok',
    'backend-2': 'ok',
    versions: 'ok',
    postgres: 'ok',
    redis: 'ok',
    containers: 'ok',
    certificate: 'ok',
    backup: 'ok',
    'backup-s3': 'not configured',
  });
  assert.match(well.services['backend-1']!.message, /^ready, version 1\.0\.0$/);
  assert.match(well.services.versions!.message, /^2 of 2 run 1\.0\.0$/);
  assert.match(
    well.services.postgres!.message,
    /^accepts writes; \d+ of 200 connections used; PostgreSQL 15/,
  );
  assert.match(well.services.redis!.message, /^primary; .* of 2\.00 GiB used; Redis 7/);
  assert.match(well.services.containers!.message, /^6 containers, all running and healthy$/);
  assert.match(well.services.certificate!.message, /^valid for 89 d .* more; issued by/);
  assert.ok(well.services.certificate!.value! >= 98);
});

test('a backend is stopped: it, and the containers; the API goes on', async () => {
  await stack.docker('stop', stack.container('backend-2'));
  const now = await look();
  assert.equal(turned(well, now), { 'backend-2': 'critical', containers: 'critical' });
  assert.match(now.services['backend-2']!.message, /^its container is exited \(0\)$/);
  assert.match(now.services['backend-2']!.hint!, /up -d --no-recreate backend-2$/);
  assert.match(now.services.versions!.message, /^1 of 2 run/);
  await mend('backend-2');
});

test('PostgreSQL hangs: it, all that needs it, and the report is there in its time', async () => {
  await stack.docker('pause', stack.container('postgres'));
  const now = await look();
  assert.equal(turned(well, now), {
    api: 'critical',
    'backend-1': 'critical',
    'backend-2': 'critical',
    postgres: 'critical',
    containers: 'critical',
  });
  assert.match(now.services['backend-1']!.message, /^not ready: .*database.* \(503\)$/);
  assert.match(now.services.containers!.message, /^postgres is paused$/);
  await stack.docker('unpause', stack.container('postgres'));
  await mend();
});

test('Redis is stopped: it, and all that needs it', async () => {
  await stack.docker('stop', stack.container('redis'));
  const now = await look();
  assert.equal(turned(well, now), {
    api: 'critical',
    'backend-1': 'critical',
    'backend-2': 'critical',
    redis: 'critical',
    containers: 'critical',
  });
  assert.match(now.services.redis!.message, /is not running/);
  await mend('redis');
});

test('another password for Redis than the one it has', async () => {
  const now = await look({ REDIS_PASSWORD: 'another-one' });
  assert.equal(turned(well, now), { redis: 'critical' });
  assert.match(now.services.redis!.message, /REDIS_PASSWORD is not its password/);
  assert.equal(turned(well, await look({ REDIS_PASSWORD: '' })), { redis: 'not configured' });
});

test('Nginx is stopped: all that goes through it', async () => {
  await stack.docker('stop', stack.container('nginx'));
  const now = await look();
  assert.equal(turned(well, now), {
    api: 'critical',
    frontend: 'critical',
    certificate: 'critical',
    containers: 'critical',
  });
  assert.match(now.services.api!.message, /does not answer: .*ECONNREFUSED/);
  await mend('nginx');
});

test('the frontend is stopped', async () => {
  await stack.docker('stop', stack.container('frontend'));
  const now = await look();
  assert.equal(turned(well, now), { frontend: 'critical', containers: 'critical' });
  assert.match(now.services.frontend!.message, /answers 50\d/);
  await mend('frontend');
});

test('maintenance mode is a warning that says so', async () => {
  const on = join(stack.directory, 'nginx/maintenance/on');
  writeFileSync(on, '');
  try {
    const now = await look();
    assert.equal(turned(well, now), { api: 'warning', frontend: 'warning' });
    assert.match(now.services.api!.message, /^maintenance mode: .*nginx\/maintenance\/on/);
  } finally {
    rmSync(on);
  }
  await mend();
});

const DAY = 86_400_000;

/** Puts a self-signed certificate in the place of the one in the volume, and makes it a trusted one. */
async function issue(
  fromDays: number,
  toDays: number,
  names = [stack.domain, `www.${stack.domain}`, `api.${stack.domain}`],
): Promise<void> {
  const at = (days: number) => {
    const text = new Date(Date.now() + days * DAY).toISOString();
    return text.slice(0, 19).replace(/[-:T]/g, '') + 'Z';
  };
  const directory = '/etc/nginx/certificates';
  const make = [
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-not_before', at(fromDays), '-not_after', at(toDays), '-subj', `/O=A test/CN=${names[0]}`],
    ...['-addext', `subjectAltName=${names.map(name => `DNS:${name}`).join()}`],
    ...['-keyout', `${directory}/privkey.pem`, '-out', `${directory}/fullchain.pem`],
  ];
  const made = await stack.exec('nginx', ...make);
  assert.is(made.code, 0, made.stderr);
  const { stdout } = await stack.exec('nginx', 'cat', `${directory}/fullchain.pem`);
  writeFileSync(authority, stdout);
}

test('certificates: near the end of their life, over it, not yet begun, for other names', async () => {
  const cases: [fromDays: number, toDays: number, status: string, message: RegExp][] = [
    [-60, 30, 'ok', /^valid for (29 d .*|30 d) more; issued by A test$/],
    [-70, 20, 'warning', /^valid for 19 d .* more, 22 % of its life$/],
    [-5, 1, 'warning', /^valid for 23 h .* more, 16 % of its life$/], // one of six days, on its last
    [-85, 5, 'critical', /^valid for 4 d .* more, 5 % of its life$/],
    [-90, -1, 'critical', /^it expired 1 d .*ago$/],
    [1, 90, 'critical', /^it is not valid before /],
  ];
  for (const [fromDays, toDays, status, message] of cases) {
    await issue(fromDays, toDays);
    await reload(stack);
    const now = await look();
    assert.equal(
      turned(well, now),
      status === 'ok' ? {} : { certificate: status },
      `${fromDays} to ${toDays}`,
    );
    assert.match(now.services.certificate!.message, message);
  }
  await issue(-1, 89, [stack.domain, `www.${stack.domain}`]);
  await reload(stack);
  const now = await look();
  assert.equal(turned(well, now), { api: 'critical', certificate: 'critical' });
  assert.match(now.services.certificate!.message, /^it is not for api\./);
  assert.match(now.services.api!.message, /^the certificate is not for api\./);
});

test('certificates: one that is self-signed, and one that Nginx has not loaded', async () => {
  await issue(-1, 89);
  await reload(stack);
  await mend();
  const untrusted = await look({ NODE_EXTRA_CA_CERTS: '' });
  assert.equal(turned(well, untrusted), { certificate: 'warning' });
  assert.match(untrusted.services.certificate!.message, /^it is self-signed/);
  const shown = readFileSync(authority, 'utf8');
  await issue(-1, 89);
  appendFileSync(authority, shown);
  const now = await look();
  assert.equal(turned(well, now), { certificate: 'warning' });
  assert.match(now.services.certificate!.message, /^Nginx shows another than fullchain\.pem.*reload it$/);
  await reload(stack);
  await mend();
});

test('an instance that crashes over and over, and one with another version that gets requests', async () => {
  const file = join(stack.directory, `.env.${stack.environment}`);
  const settings = readFileSync(file, 'utf8');
  const up = ['--profile', 'scale', 'up', '--detach', '--no-deps'];
  try {
    writeFileSync(file, `${settings}APP_VARIANT=no-such\n`);
    await stack.compose(...up, '--no-recreate', 'backend-3');
    const restarts = ['inspect', '--format', '{{.RestartCount}}', stack.container('backend-3')];
    await until('it has crashed twice', async () => Number(await stack.docker(...restarts)) > 1, 60);
    const crashing = await look();
    assert.equal(turned(well, crashing), { containers: 'warning' });
    assert.match(
      crashing.services.containers!.message,
      /backend-3 (is restarting \(1\)|has restarted \d+ times)/,
    );

    writeFileSync(file, `${settings}APP_VERSION=9.9.9\n`);
    await stack.docker('rm', '--force', stack.container('backend-3'));
    await stack.compose(...up, '--wait', '--no-recreate', 'backend-3');
    assert.equal(turned(well, await look()), {}, 'one that gets no requests is nobody’s trouble');
    const list = readFileSync(join(stack.directory, 'nginx/upstreams/backend.conf'), 'utf8');
    await upstreamIs(
      stack,
      'backend',
      list + list.split('\n')[0]!.replaceAll('backend-1', 'backend-3') + '\n',
    );
    const differing = await look();
    assert.equal(turned(well, differing), { 'backend-3': 'ok', versions: 'warning' });
    assert.match(differing.services.versions!.message, /backend-1 runs 1\.0\.0, .*backend-3 runs 9\.9\.9$/);

    await stack.docker('rm', '--force', stack.container('backend-3'));
    const gone = await look();
    assert.equal(turned(well, gone), { 'backend-3': 'critical', containers: 'critical' });
    assert.match(gone.services.containers!.message, /^backend-3 has no container$/);
    await upstreamIs(stack, 'backend', list);
  } finally {
    writeFileSync(file, settings);
  }
  await mend();
});

test('connections of PostgreSQL used up, bit by bit', async () => {
  const hold = async (upTo: number) => {
    const used = Number(
      await sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"),
    );
    const script_ = `
      const { Client } = require('pg');
      for (let i = 0; i < ${upTo - used + 1}; i++)
        new Client({ connectionString: process.env.DATABASE_URL, application_name: 'hog' }).on('error', () => {}).connect();
      setInterval(() => {}, 1000);`;
    await stack.docker('exec', '--detach', stack.container('backend-1'), 'node', '-e', script_);
    await until(
      `${upTo} connections`,
      async () => {
        const hogs = await sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'");
        return Number(hogs) >= upTo;
      },
      60,
    );
  };
  try {
    await hold(165);
    const many = await look();
    assert.equal(turned(well, many), { postgres: 'warning' });
    assert.match(many.services.postgres!.message, /^1[67]\d of 200 connections are used$/);
    await hold(191);
    assert.equal(turned(well, await look()), { postgres: 'critical' });
  } finally {
    await sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hog'");
    await stack.exec('backend-1', 'pkill', '-f', 'new Client');
  }
  await mend();
});

test('a change of state is told once, by one of two runs at a time, and so is recovery', async () => {
  const receiver = await startReceiver();
  const texts = () => receiver.received.map(({ body }): string => JSON.parse(body).text);
  const notify = async (extra: Record<string, string> = {}) =>
    script('health-check', ['--json', '--notify'], { SLACK_WEBHOOK_URL: receiver.url, ...extra });
  const broken = { REDIS_PASSWORD: 'another-one' };
  try {
    assert.is((await notify()).code, 0);
    assert.equal(texts(), [], 'a first run is told only if something is wrong');
    const both = await Promise.all([notify(broken), notify(broken)]);
    assert.equal(
      both.map(({ code }) => code),
      [2, 2],
    );
    assert.is((await notify(broken)).code, 2);
    assert.is(texts().length, 1, texts().join('\n'));
    assert.match(
      texts()[0]!,
      /health is CRITICAL since .* UTC:\ncritical redis: .* → docs\/RUNBOOK\.md#redis$/,
    );

    await stack.docker('stop', stack.container('frontend'));
    assert.is((await notify(broken)).code, 2);
    assert.is((await notify(broken)).code, 2);
    assert.is(texts().length, 2, 'more has broken');
    assert.match(
      texts()[1]!,
      /before critical:\ncritical frontend: .*\ncritical redis: .*\ncritical containers:/,
    );
    await mend('frontend');

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

test.run();
