import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attempt, type Result } from '../engine/process.ts';
import { until } from '../support/core/world.ts';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { ask } from './lib/http.ts';
import { sharedStack } from './lib/shared.ts';
import { sql } from './lib/visitor.ts';

const stack = await sharedStack();
const cloudflare = await cloudflareBefore(stack);
const SERVICES = ['backend-1', 'backend-2', 'frontend', 'nginx', 'postgres', 'redis'];

/** Runs a command in a service's container as a user that none of its processes has. */
function execAs(user: string, service: string, ...command: string[]): Promise<Result> {
  const args = ['exec', '--user', user, stack.container(service), ...command];
  return attempt('docker', args, stack.engine);
}

async function ok(service: string, ...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await stack.exec(service, ...command);
  assert.is(code, 0, stderr);
  return stdout.trim();
}

/** Waits until both instances are ready, and get requests: Nginx looks for their addresses every five seconds. */
async function allServe(): Promise<void> {
  await stack.compose('up', '--detach', '--wait', '--no-recreate');
  const seen = new Set<unknown>();
  await until('both instances answer', async () => {
    seen.add((await cloudflare.ask(cloudflare.client(), 'api', '/api/v1/health')).headers['x-instance']);
    return seen.has('backend-1') && seen.has('backend-2');
  });
}

const redis = (...command: string[]) => ok('redis', 'redis-cli', '--no-raw', ...command);

test('the services and their names; only 80 and 443 are published', async () => {
  const format = '{{.Names}} {{.Ports}}';
  const list = await stack.docker('ps', '--filter', `name=^${stack.app}-`, '--format', format);
  const published = new Map(list.split('\n').map(line => [line.split(' ')[0], line]));
  published.delete(`${stack.app}-forwarder`); // a test's, which the next one may find
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
  const names = Object.keys(expected).map(name => `('${name}')`);
  const settings = `SELECT n, current_setting(n) FROM (VALUES ${names}, ('server_version')) AS _ (n)`;
  const lines = (await sql(stack, settings)).split('\n');
  const { server_version, ...rest } = Object.fromEntries(lines.map(line => line.split('|')));
  assert.equal(rest, expected);
  assert.match(server_version, /^15\./);

  const script = `
    const { Client } = require('pg');
    const url = new URL(process.env.DATABASE_URL);
    const connect = async password => {
      url.password = password;
      const client = new Client(String(url));
      await client.connect().then(() => client.end());
      return 'connected';
    };
    Promise.allSettled([connect(url.password), connect('wrong')])
      .then(all => all.forEach(({ value, reason }) => console.log(value ?? reason.message)));`;
  const [right, wrong] = (await ok('backend-1', 'node', '-e', script)).split('\n');
  assert.is(right, 'connected');
  // The application's own role, which postgres/make-roles.sh has made.
  assert.is(wrong, `password authentication failed for user "${stack.app}"`);
});

test('PostgreSQL logs slow statements and DDL, and no values of parameters', async () => {
  const script = `
    const { Client } = require('pg');
    const client = new Client(process.env.DATABASE_URL);
    client.connect()
      .then(() => client.query('CREATE TABLE logged (i int)'))
      .then(() => client.query('DROP TABLE logged'))
      .then(() => client.query('SELECT $1::text, pg_sleep(0.6)', ['a-bound-secret']))
      .then(() => client.end());`;
  await ok('backend-1', 'node', '-e', script);
  let text = '';
  await until('both are in the log', async () => {
    // Docker gives a container's stderr as its own.
    text = (await attempt('docker', ['logs', stack.container('postgres')], stack.engine)).stderr;
    return (
      text.includes('CREATE TABLE logged') && /duration: \d+\.\d+ ms .*SELECT \$1::text, pg_sleep/.test(text)
    );
  });
  assert.not.match(text, 'a-bound-secret');
  const { APP_DB_PASSWORD, BACKUP_DB_PASSWORD, POSTGRES_PASSWORD } = stack.variables;
  for (const secret of [APP_DB_PASSWORD!, BACKUP_DB_PASSWORD!, POSTGRES_PASSWORD!])
    assert.not(text.includes(secret));
});

test('the application owns its tables and is no superuser; the backup role reads them and writes none', async () => {
  const rights = `SELECT pg_get_userbyid(relowner) || '|' || rolsuper FROM pg_class JOIN pg_roles r ON r.oid = relowner
    WHERE relname = '_migrations' OR relname = '_prisma_migrations' LIMIT 1`;
  assert.is(await sql(stack, rights), `${stack.app}|false`);
  const members = `SELECT has_database_privilege('backup', current_database(), 'CONNECT'), pg_has_role('backup', 'pg_read_all_data', 'MEMBER'),
    has_database_privilege('backup', current_database(), 'CREATE'), has_database_privilege('backup', current_database(), 'TEMPORARY')`;
  assert.is(await sql(stack, members), 't|t|f|f');
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
  await allServe();
  assert.match(await redis('GET', 'queued'), 'job');
  await redis('DEL', 'queued');
});

/** Looks at all services side by side. */
async function ofEach(look: (service: string) => Promise<void>): Promise<void> {
  await Promise.all(SERVICES.map(look));
}

test('no password is in an argument of any process or health check', () =>
  ofEach(async service => {
    const secret = stack.variables.POSTGRES_PASSWORD!.slice(-16);
    const script = 'for f in /proc/[0-9]*/cmdline; do tr "\\0" " " < $f 2>/dev/null; echo; done';
    const lines = await ok(service, 'sh', '-c', script);
    assert.match(lines, /^(\S*node|nginx:|postgres|redis-server) /m, 'the service is among them');
    assert.not.match(lines, secret, service);
    const format =
      '{{json .Config.Cmd}} {{json .Config.Entrypoint}} {{json .Config.Healthcheck}} {{json .Args}} {{json .State.Health}}';
    assert.not.match(await stack.docker('inspect', '--format', format, stack.container(service)), secret);
  }));

test('not even root can write to an image, and none but Nginx’s master is root', () =>
  ofEach(async service => {
    const { stderr } = await execAs('root', service, 'sh', '-c', 'echo x > /etc/written-by-a-test');
    assert.match(stderr, /Read-only file system/, service);
    // Of a health check that begins, Docker's own program is still there, whose name it tells.
    const script = `
      awk '/^Name:/ { own = $2 ~ /^runc/ } /^Uid:/ && !own { print $2 }' /proc/[0-9]*/status 2>/dev/null | sort -u | paste -sd ' '
      grep "^CapEff:" /proc/1/status | cut -f 2
      grep "^NoNewPrivs:" /proc/1/status | cut -f 2`;
    const [uids = '', caps, noNewPrivileges] = (await ok(service, 'sh', '-c', script)).split('\n');
    assert.is(uids.split(' ').includes('0'), service === 'nginx', `${service}: ${uids}`);
    // CHOWN, SETGID, SETUID and NET_BIND_SERVICE are bits 0, 6, 7 and 10.
    assert.is(BigInt(`0x${caps}`) & ~0x4c1n, 0n, `${service} has ${caps}`);
    assert.is(noNewPrivileges, '1');
  }));

/** What comes of a connection from one service to an address. */
async function reach(from: string, address: string): Promise<string> {
  const connect = `exec 3<>/dev/tcp/${address.replace(':', '/')} && echo reached`;
  const { code, stdout, stderr } = await stack.exec(from, 'timeout', '2', 'bash', '-c', connect);
  return code === 124 ? 'no answer' : (stdout + stderr).trim();
}

test('the stores reach nothing outside, and Nginx does not reach the stores', async () => {
  const addressOf = async (from: string, name: string) =>
    (await ok(from, 'getent', 'hosts', name)).split(' ')[0]!;
  const nginx = `${await addressOf('frontend', 'nginx')}:443`;
  assert.is(await reach('frontend', nginx), 'reached', 'the port is open for who may');
  for (const store of ['postgres', 'redis'])
    assert.match(await reach(store, nginx), 'Network is unreachable');

  const closed = async (store: string, port: number) => {
    const address = `${await addressOf('backend-1', store)}:${port}`;
    assert.is(await reach('backend-1', address), 'reached');
    assert.is(await reach('nginx', address), 'no answer');
    assert.is((await stack.exec('nginx', 'getent', 'hosts', store)).code, 2, 'no such name for Nginx');
  };
  await Promise.all([closed('postgres', 5432), closed('redis', 6379)]);
  const hasDefaultRoute = async (service: string) =>
    (await ok(service, 'cat', '/proc/net/route'))
      .split('\n')
      .some(line => line.split('\t')[1] === '00000000');
  assert.ok(await hasDefaultRoute('nginx'));
  for (const store of ['postgres', 'redis']) assert.not(await hasDefaultRoute(store), store);
});

test('backends stop within their grace period, by a signal that reaches the application', async () => {
  const container = stack.container('backend-1');
  await stack.docker('stop', container);
  assert.is(await stack.docker('inspect', '--format', '{{.State.ExitCode}}', container), '0');
  const log = await stack.docker('logs', '--tail', '1', container);
  assert.is(JSON.parse(log).message, 'stopped');
  await stack.docker('start', container);
  await allServe();
});

test('the application works through all of it', async () => {
  const { status, body } = await ask(stack, 'api', '/api/v1/articles');
  assert.is(status, 200);
  assert.ok(JSON.parse(body).articles.length > 0);
  assert.match((await ask(stack, 'site', '/')).body, '<script');
});

test.run();
