/**
 * The application that keeps none of the contract's defaults, configured by variables: what it serves, a release while
 * requests are open, and a release that is taken back.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backendOf } from './lib/bad-release.ts';
import { assertEnded, assertHealthy, assertNothingLeft, serving, upstreams } from './lib/deploy-state.ts';
import { ask } from './lib/http.ts';
import { ADMIN, startOther, whileSlow } from './lib/other-application.ts';

const d = await startOther();
const { stack } = d;
await d.publish('v2');
await d.publish('never-ready');

test('its probes, files, user and ports work, and no default is in the way', async () => {
  assert.is((await ask(stack, 'api', '/health')).status, 200);
  assert.is((await ask(stack, 'api', '/HEALTH/ready')).status, 200);
  for (const path of ['/metrics', '/METRICS/', '/api/v1/health', '/api/v1/metrics'])
    assert.is((await ask(stack, 'api', path)).status, 404, path);
  assert.is((await ask(stack, 'api', '/webhooks/payments', { method: 'POST' })).status, 200);
  const log = await stack.exec('backend-2', 'cat', 'logs/combined.log');
  assert.is(log.stdout, 'started as backend-2\n', log.stderr);
  assert.is((await stack.exec('backend-2', 'touch', 'other')).code, 1, 'the rest is read-only');
  assert.is((await stack.exec('frontend', 'id', '-u')).stdout.trim(), '1001');
  await assertHealthy(d);
  const { stdout } = await d.run('health-check', ['--only', 'contract,versions,backend', '--json']);
  const { services } = JSON.parse(stdout);
  const { contract, versions } = services;
  assert.is(contract.status, 'ok', contract.message);
  assert.match(
    contract.message,
    /exposes 3000; it must heed PORT=3001; \/health has no version.*; \/metrics has no http_req/,
  );
  assert.match(versions.message, /^2 of 2 run backend@sha256:\w{12} \(no version in \/health\)$/);
});

test('an upload has the size of its path', async () => {
  const upload = (path: string, bytes: number) =>
    ask(stack, 'api', path, { method: 'POST', body: Buffer.alloc(bytes) });
  const limit = 10 * 1024 * 1024;
  const taken = await upload('/api/v1/media/upload', limit);
  assert.equal([taken.status, JSON.parse(taken.body)], [201, { bytes: limit }]);
  assert.is((await upload('/api/v1/media/upload', limit + 1)).status, 413);
  assert.is((await upload('/api/v1/uploads', limit)).status, 413, 'a default that is not named is gone');
});

test('pages for administrators need the password, which the backend does not get, and are never kept', async () => {
  const get = (path: string, authorization?: string) =>
    ask(stack, 'api', path, { headers: authorization ? { Authorization: authorization } : {} });
  for (const path of ['/admin/queues', '/ADMIN/QUEUES/', '/admin/queues/api/retry', '/admin/queues?x=1']) {
    const refused = await get(path);
    assert.is(refused.status, 401, path);
    assert.is(refused.headers['x-instance'], undefined, 'the backend was not asked');
    assert.match(String(refused.headers['www-authenticate']), /^Basic realm=/);
  }
  for (const path of ['/admin//queues', '/admin/%71ueues', '/admin/queues/..%2f', '/x/../admin/queues'])
    assert.is((await get(path)).status, 400, path);
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  assert.is((await get('/admin/queues', basic(`admin:${ADMIN}x`))).status, 401);
  assert.is((await get('/admin/queues', basic(`root:${ADMIN}`))).status, 401);
  for (let turn = 0; turn < 2; turn++) {
    const page = await get('/admin/queues', basic(`admin:${ADMIN}`));
    assert.is(page.status, 200);
    assert.match(page.body, /<title>Queues<\/title><p>no credentials<\/p>/);
    assert.is(page.headers['cache-control'], 'private, no-store');
    assert.is(page.headers['x-cache-status'], undefined);
    assert.match(String(page.headers['content-security-policy']), /script-src 'self';/);
  }
  assert.match(
    String((await ask(stack, 'api', '/health')).headers['content-security-policy']),
    /default-src 'none'; base/,
  );
});

test('a release: open requests of each instance are answered, WebSockets move, and it is said once how', async () => {
  const plan = await d.run('deploy', ['2.0.0', '--plan']);
  assert.match(plan.stdout, /^contract {2}the backend exposes 3000; it must heed PORT=3001$/m, plan.stderr);
  const ended = await whileSlow(stack, async slow => {
    const run = d.start('deploy', ['2.0.0', '--skip-backup', '--reason', 'a test', '--yes']);
    await run.shows(/backend-1 \(1 of 2\)/, 300);
    slow();
    await run.shows(/backend-2 \(2 of 2\)/, 300);
    slow();
    return run.ended;
  });
  const release = assertEnded(stack, ended, 0, 'done');
  assert.ok(release.canary!.reopened > 0);
  const said = /\/metrics of backend-\d has no http_requests_in_flight: an instance is drained when/g;
  assert.is(ended.stderr.match(said)?.length, 1, ended.stderr);
  assert.not.match(ended.stderr, /stopping it/);
  assert.match(upstreams(stack).backend, /^server backend-1:3001 .*\nserver backend-2:3001 /);
  assert.match(upstreams(stack).frontend, /^server frontend:8080 /);
  await assertNothingLeft(d);
});

test('a release that is never ready is taken back', async () => {
  const before = await serving(stack);
  const ended = await d.run('deploy', backendOf('2.1.0'), { DEPLOY_READY_TIMEOUT: '20s' });
  assertEnded(
    stack,
    ended,
    1,
    'rolled back',
    /backend-1 is not ready after 20 s: \/health\/ready answers 503/,
  );
  assert.equal(await serving(stack), before);
  await assertHealthy(d);
});

test.run();
