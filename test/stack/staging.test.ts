import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, dial } from './lib/http.ts';
import { startStack } from './lib/stack.ts';

// Names of which nothing can be derived.
const API_DOMAIN = 'backend.acme-api.example';
const stack = await startStack('staging', { DOMAIN: 'shop.acme.example', API_DOMAIN });

test('staging comes up as production does, under its own names', async () => {
  const { status, body } = await ask(stack, 'api', '/api/v1/articles');
  assert.is(status, 200);
  assert.ok(JSON.parse(body).articles.length > 0);
  const page = await ask(stack, 'site', '/');
  assert.match(page.body, '<script');
  assert.match(`${page.headers['content-security-policy']}`, `https://${API_DOMAIN} wss://${API_DOMAIN} `);
  const { headers } = await ask(stack, 'www', '/path?query=1');
  assert.is(headers.location, 'https://shop.acme.example/path?query=1');
  for (const name of ['acme.example', 'api.shop.acme.example', 'neurmatic.com', `www.${API_DOMAIN}`]) {
    const refused = await dial(stack, name, { rejectUnauthorized: false }).catch(error => error.code);
    assert.is(refused, 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME', `${name} is not served here`);
  }
});

test('pages of the site, and no others, may read errors of an API with a name of its own', async () => {
  const allowed = async (Origin: string) =>
    (await ask(stack, 'api', '/none', { headers: { Origin } })).headers['access-control-allow-origin'];
  assert.is(await allowed('https://shop.acme.example'), 'https://shop.acme.example');
  for (const origin of [
    `https://${API_DOMAIN}`,
    'https://acme.example',
    'https://xshop.acme.example',
    'null',
  ])
    assert.is(await allowed(origin), undefined, origin);
});

test('the longest names that the settings accept fit into Nginx’s tables', async () => {
  const name = (letter: string) => `${letter.repeat(63)}.${letter.repeat(36)}`;
  const settings = '/docker-entrypoint.d/02-settings.sh';
  const script = `DOMAIN=${name('a')} API_DOMAIN=${name('b')} ${settings} && nginx -t; code=$?; ${settings}; exit $code`;
  const { code, stderr } = await stack.exec('nginx', 'sh', '-c', script);
  assert.is(code, 0, stderr);
});

test('a bad name ends the container before Nginx starts, with what it must be', async () => {
  const run = [
    'run',
    '--rm',
    '--no-deps',
    '--env',
    'DOMAIN=acme.example; return 200 owned',
    'nginx',
    'nginx',
    '-T',
  ];
  const error = await stack.compose(...run).then(
    out => out,
    ({ message }) => `failed: ${message}`,
  );
  assert.match(error, /^failed: .*DOMAIN: must be a host name such as acme\.example/s);
  assert.not.match(error, /acme-api|owned;/);
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
    const psql = [
      'psql',
      '-U',
      stack.variables.POSTGRES_USER!,
      '-d',
      stack.variables.POSTGRES_DB!,
      '-Atc',
      `SHOW ${name}`,
    ];
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
