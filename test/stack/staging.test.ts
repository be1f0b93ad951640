import { X509Certificate } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { commandIn, paste } from '../support/cli/paste.ts';
import { until } from '../support/core/world.ts';
import { reportOf } from '../support/health/health.ts';
import { healthOf } from './lib/health.ts';
import { ask, dial } from './lib/http.ts';
import { allSaid } from './lib/said.ts';
import { certificateOf, startStack } from './lib/stack.ts';

// Names of which nothing can be derived.
const API_DOMAIN = 'backend.acme-api.example';
const stack = await startStack('staging', { DOMAIN: 'shop.acme.example', API_DOMAIN, DEPLOY_ENV: 'staging' });
const health = healthOf(stack, { backup: true });

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

test('nothing that the stack says has a name that the configuration does not give', async () => {
  const { script } = await health;
  const said = await allSaid(stack, script);
  const naming = Object.entries(said).filter(([, text]) => /neurmatic/i.test(text));
  assert.equal(
    naming.map(([what, text]) => `${what}: ${/.{0,80}neurmatic.{0,80}/i.exec(text)}`),
    [],
  );
  const empty = Object.keys(said).filter(what => said[what]!.trim() === '');
  assert.equal(empty, [], 'each has said something');
  assert.match(said['nginx -T']!, `server_name ${API_DOMAIN};`);
});

test('other names: a warning with a command, which gives Nginx a new container', async () => {
  const { well, script } = await health;
  const names = { DOMAIN: 'new.example', API_DOMAIN: 'api.new.example' };
  assert.is(well.services.containers!.status, 'ok');
  const { services } = reportOf(await script('health-check', ['--json'], names));
  assert.is(services.containers!.status, 'warning');
  assert.match(
    services.containers!.message,
    /other values than the configuration has now: API_DOMAIN, DOMAIN/,
  );
  assert.is(services.api!.status, 'critical');
  const command = commandIn(services.containers!.hint!, /^(docker compose .* up -d --timeout=5 nginx)$/);
  const refused = await script('scale', ['3', '--dry-run'], names);
  assert.is(refused.code, 1);
  assert.match(
    refused.stderr,
    /other values than the configuration has now: API_DOMAIN, DOMAIN\n +→ load them: docker compose .* up -d --timeout=5 nginx/,
  );

  const env = { ...(stack.engine.env as Record<string, string>), ...names };
  const done = await paste({ env }, command, stack.directory);
  assert.is(done.code, 0, done.stderr);
  const other = { ...stack, domain: names.DOMAIN, variables: { ...stack.variables, ...names } };
  await until('the new Nginx', async () => {
    const pem = await certificateOf(stack);
    other.ca = pem;
    return ask(other, 'api', '/api/v1/health').then(
      ({ status }) => status === 200,
      () => false,
    );
  });
  assert.is((await ask(other, 'www', '/a')).headers.location, 'https://new.example/a');
  assert.match(
    new X509Certificate(other.ca).subjectAltName!,
    /^DNS:new\.example, DNS:www\.new\.example, DNS:api\.new\.example$/,
  );
  const gone = await dial(stack, stack.domain, { rejectUnauthorized: false }).catch(error => error.code);
  assert.is(gone, 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
});

test.run();
