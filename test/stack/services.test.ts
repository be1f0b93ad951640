import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attempt } from '../engine/process.ts';
import { ask } from './lib/http.ts';
import { startStack } from './lib/stack.ts';

const stack = await startStack();
const SERVICES = ['backend-1', 'backend-2', 'frontend', 'nginx', 'postgres', 'redis'];

async function ok(service: string, ...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await stack.exec(service, ...command);
  assert.is(code, 0, stderr);
  return stdout.trim();
}

/** The value of a PostgreSQL setting, over its own socket. */
const setting = (name: string) =>
  ok('postgres', 'psql', '-U', 'neurmatic', '-d', stack.variables.POSTGRES_DB!, '-Atc', `SHOW ${name}`);

const redis = (...command: string[]) => ok('redis', 'redis-cli', '--no-raw', ...command);

test('the services and their names; only 80 and 443 are published', async () => {
  const format = '{{.Names}} {{.Ports}}';
  const list = await stack.docker('ps', '--filter', `name=^${stack.app}-`, '--format', format);
  const published = new Map(list.split('\n').map(line => [line.split(' ')[0], line]));
  assert.equal([...published.keys()].sort(), SERVICES.map(stack.container));
  for (const [name, line] of published) {
    const ports = [...line.matchAll(/(\S+)->(\d+)\/tcp/g)].map(match => match[0]);
    const expected = [`0.0.0.0:${stack.httpPort}->80/tcp`, `0.0.0.0:${stack.httpsPort}->443/tcp`];
    assert.equal(ports.sort(), name === stack.container('nginx') ? expected.sort() : [], line);
  }
});

test('a one-off container of an instance gets none of its requests', async () => {
  const name = `${stack.app}-one-off`;
  await stack.compose('run', '--detach', '--no-deps', '--name', name, 'backend-1', 'sleep', '60');
  try {
    const found = await ok('nginx', 'getent', 'ahostsv4', 'backend-1');
    const addresses = new Set(found.split('\n').map(line => line.split(' ')[0]));
    assert.is(addresses.size, 1, found);
    const { body } = await ask(stack, 'api', '/api/v1/health');
    assert.match(JSON.parse(body).instance, /^backend-[12]$/);
  } finally {
    await stack.docker('rm', '--force', name);
  }
});

test('PostgreSQL runs with the settings of its environment, checksums, and its password asked for', async () => {
  const expected = {
    max_connections: '200',
    shared_buffers: '512MB',
    effective_cache_size: '2GB',
    wal_level: 'replica',
    data_checksums: 'on',
    log_min_duration_statement: '500ms',
    log_statement: 'ddl',
    max_slot_wal_keep_size: '8GB',
    shared_preload_libraries: 'pg_stat_statements',
    log_timezone: 'UTC',
    password_encryption: 'scram-sha-256',
  };
  for (const [name, value] of Object.entries(expected)) assert.is(await setting(name), value, name);
  assert.match(await setting('server_version'), /^15\./);

  const overNetwork = (password: string) =>
    stack.docker(
      'run',
      '--rm',
      '--network',
      `${stack.app}-production_data`,
      '--env',
      'PGPASSWORD',
      '--env',
      'PGUSER',
      '--env',
      `PGDATABASE=${stack.variables.POSTGRES_DB}`,
      '--env',
      `PGPASSWORD=${password}`,
      '--env',
      'PGUSER=neurmatic',
      'postgres:15.20-bookworm',
      'psql',
      '-h',
      'postgres',
      '-Atc',
      'SELECT 1',
    );
  assert.is(await overNetwork(stack.variables.POSTGRES_PASSWORD!), '1');
  await overNetwork('wrong').then(
    () => assert.unreachable('a wrong password is taken'),
    error => assert.match(String(error), 'password authentication failed'),
  );
});

test('PostgreSQL logs slow statements and DDL, and no values of parameters', async () => {
  const sql = 'CREATE TABLE logged (i int); DROP TABLE logged';
  await ok('postgres', 'psql', '-U', 'neurmatic', '-d', stack.variables.POSTGRES_DB!, '-c', sql);
  const script = `
    const { Client } = require('pg');
    const client = new Client(process.env.DATABASE_URL);
    client.connect().then(() => client.query('SELECT $1::text, pg_sleep(0.6)', ['a-bound-secret'])).then(() => client.end());`;
  await ok('backend-1', 'node', '-e', script);
  // Docker gives a container's stderr as its own.
  const { stderr: text } = await attempt('docker', ['logs', stack.container('postgres')], stack.engine);
  assert.match(text, 'CREATE TABLE logged');
  assert.match(text, /duration: \d+\.\d+ ms .*SELECT \$1::text, pg_sleep/);
  assert.not.match(text, 'a-bound-secret');
});

test('Redis asks for its password, keeps both kinds of file, and evicts only what expires', async () => {
  const info = await ok('redis', 'redis-cli', 'INFO', 'persistence');
  assert.match(info, 'aof_enabled:1');
  assert.equal((await redis('CONFIG', 'GET', 'maxmemory')).match(/\d{5,}/)?.[0], `${2 * 2 ** 30}`);
  assert.match(await redis('CONFIG', 'GET', 'maxmemory-policy'), 'volatile-lru');
  assert.match(await redis('CONFIG', 'GET', 'save'), '900 1 300 100 60 10000');
  const anonymous = await stack.exec('redis', 'env', '-u', 'REDISCLI_AUTH', 'redis-cli', 'PING');
  assert.match(anonymous.stdout, 'NOAUTH');
  const wrong = await stack.exec('redis', 'env', 'REDISCLI_AUTH=wrong', 'redis-cli', 'PING');
  assert.match(wrong.stdout + wrong.stderr, 'WRONGPASS');
  await redis('SET', 'queued', 'job');
  await stack.compose('restart', 'redis');
  await stack.compose('up', '--detach', '--wait', '--no-recreate', 'redis');
  assert.match(await redis('GET', 'queued'), 'job');
});

test('no password is in an argument of any process or health check', async () => {
  const { POSTGRES_PASSWORD: password } = stack.variables;
  for (const service of SERVICES) {
    const script = 'for f in /proc/[0-9]*/cmdline; do tr "\\0" " " < $f 2>/dev/null; echo; done';
    assert.not.match(await ok(service, 'sh', '-c', script), password!.slice(-16), service);
    const format =
      '{{json .Config.Cmd}} {{json .Config.Entrypoint}} {{json .Config.Healthcheck}} {{json .Args}} {{json .State.Health}}';
    assert.not.match(
      await stack.docker('inspect', '--format', format, stack.container(service)),
      password!.slice(-16),
    );
  }
});

test('no service can write to its image, and none but Nginx’s master is root', async () => {
  for (const service of SERVICES) {
    const { code } = await stack.exec(service, 'sh', '-c', 'echo x > /etc/written-by-a-test');
    assert.is.not(code, 0, service);
    const uids = await ok(service, 'sh', '-c', 'grep -h "^Uid:" /proc/[0-9]*/status | cut -f 2 | sort -u');
    if (service !== 'nginx') assert.not(uids.split('\n').includes('0'), `${service}: ${uids}`);
    const caps = await ok(service, 'sh', '-c', 'grep "^CapEff:" /proc/1/status | cut -f 2');
    // CHOWN, SETGID, SETUID and NET_BIND_SERVICE are bits 0, 6, 7 and 10.
    assert.is(BigInt(`0x${caps}`) & ~0x4c1n, 0n, `${service} has ${caps}`);
    assert.match(await ok(service, 'sh', '-c', 'grep NoNewPrivs /proc/1/status'), /1$/);
  }
});

test('the stores reach nothing outside, and Nginx does not reach the stores', async () => {
  const address = (await ok('nginx', 'getent', 'hosts', 'backend-1')).split(' ')[0]!;
  const reach = await stack.exec(
    'postgres',
    'timeout',
    '3',
    'bash',
    '-c',
    `exec 3<>/dev/tcp/${address}/3000 && echo reached`,
  );
  assert.not.match(reach.stdout, 'reached', 'from the data network to the app network');
  assert.is((await stack.exec('nginx', 'getent', 'hosts', 'postgres')).code, 2, 'no such name for Nginx');
  const route = await ok('postgres', 'cat', '/proc/net/route');
  assert.not(
    route.split('\n').some(line => line.split('\t')[1] === '00000000'),
    'no default route',
  );
});

test('backends stop within their grace, and none is told to by a signal that it does not get', async () => {
  await stack.docker('stop', stack.container('backend-1'));
  const code = await stack.docker('inspect', '--format', '{{.State.ExitCode}}', stack.container('backend-1'));
  assert.is(code, '0');
  await stack.docker('start', stack.container('backend-1'));
});

test('the application works through all of it', async () => {
  const { status, body } = await ask(stack, 'api', '/api/v1/articles');
  assert.is(status, 200);
  assert.ok(JSON.parse(body).articles.length > 0);
  assert.match((await ask(stack, 'site', '/')).body, '<script');
});

test.run();
