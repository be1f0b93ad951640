import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, dial } from './lib/http.ts';
import { startStack } from './lib/stack.ts';

const stack = await startStack('staging');

test('staging comes up as production does, under its own names', async () => {
  const { status, body } = await ask(stack, 'api', '/api/v1/articles');
  assert.is(status, 200);
  assert.ok(JSON.parse(body).articles.length > 0);
  const page = await ask(stack, 'site', '/');
  assert.match(page.body, '<script');
  assert.match(`${page.headers['content-security-policy']}`, 'https://api.staging.neurmatic.com');
  const refused = await dial(stack, 'neurmatic.com', { rejectUnauthorized: false }).catch(
    error => error.code,
  );
  assert.is(refused, 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME', 'production is not served here');
});

test('every answer tells search engines not to index it', async () => {
  for (const [part, path] of [
    ['site', '/'],
    ['site', '/assets/none.js'],
    ['api', '/api/v1/articles'],
    ['api', '/none'],
  ] as const) {
    assert.is((await ask(stack, part, path)).headers['x-robots-tag'], 'noindex', path);
  }
});

test('sizes are staging’s', async () => {
  const show = async (name: string) => {
    const psql = ['psql', '-U', 'neurmatic', '-d', stack.variables.POSTGRES_DB!, '-Atc', `SHOW ${name}`];
    return (await stack.exec('postgres', ...psql)).stdout.trim();
  };
  assert.is(await show('max_connections'), '100');
  assert.is(await show('shared_buffers'), '256MB');
  const redis = await stack.exec('redis', 'redis-cli', 'CONFIG', 'GET', 'maxmemory');
  assert.match(redis.stdout, `${512 * 2 ** 20}`);
  const limits = await stack.exec('nginx', 'sh', '-c', 'grep -h "open files" /proc/[0-9]*/limits | sort -u');
  assert.match(limits.stdout, /open files +4096 +4096/);
  assert.match((await stack.exec('nginx', 'nginx', '-T')).stdout, 'worker_connections 2048;');
});

test.run();
