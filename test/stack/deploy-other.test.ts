/**
 * The application that keeps none of the contract's defaults, configured by variables: what it serves, a release while
 * requests are open, and a release that is taken back.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backendOf } from './lib/bad-release.ts';
import { cloudflareBefore } from './lib/cloudflare.ts';
import {
  assertDrained,
  assertEnded,
  assertHealthy,
  assertNothingLeft,
  serving,
  upstreams,
} from './lib/deploy-state.ts';
import { type Answer, ask } from './lib/http.ts';
import { ADMIN, startOther, whileSlow } from './lib/other-application.ts';

const d = await startOther();
const { stack } = d;
const cloudflare = await cloudflareBefore(stack);
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
  assert.equal([taken.status, JSON.parse(taken.body).bytes], [201, limit]);
  assert.is((await upload('/api/v1/media/upload', limit + 1)).status, 413);
  assert.is((await upload('/api/v1/uploads', limit)).status, 413, 'a default that is not named is gone');
});

const basic = (text: string) => ({ Authorization: `Basic ${Buffer.from(text).toString('base64')}` });
const password = basic(`admin:${ADMIN}`);

test('pages for administrators need the password, which the backend does not get, and are never kept', async () => {
  const get = (path: string, headers = {}) => cloudflare.ask('203.0.113.7', 'api', path, { headers });
  for (const path of ['/admin/queues', '/ADMIN/QUEUES/', '/admin/queues/api/retry', '/admin/queues?x=1']) {
    const refused = await get(path);
    assertRefused(refused, 401, path);
    assert.match(String(refused.headers['www-authenticate']), /^Basic realm=/);
  }
  for (const path of ['/admin//queues', '/admin/%71ueues', '/admin/queues/..%2f', '/x/../admin/queues'])
    assert.is((await get(path)).status, 400, path);
  for (const wrong of [`admin:${ADMIN}x`, `root:${ADMIN}`])
    assertRefused(await get('/admin/queues', basic(wrong)), 401, wrong);
  for (let turn = 0; turn < 2; turn++) {
    const page = await get('/admin/queues', password);
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

test('pages for administrators need an address of the list too, which is the visitor’s and can’t be claimed', async () => {
  const from = (client: string, headers = {}) => cloudflare.ask(client, 'api', '/admin/queues', { headers });
  const claims = (address: string) => ({
    ...{ 'X-Forwarded-For': address, 'X-Real-IP': address, Forwarded: `for=${address}` },
    ...{ 'True-Client-IP': address, 'X-Client-IP': address },
  });
  for (const inside of ['203.0.113.7', '198.51.100.0', '198.51.100.255', '2001:db8:7:ffff::1']) {
    assert.is((await from(inside, password)).status, 200, inside);
    assert.is((await from(inside, { ...password, ...claims('192.0.2.1') })).status, 200, inside);
    assertRefused(await from(inside), 401, inside);
  }
  for (const outside of [
    '203.0.113.8',
    '198.51.99.255',
    '198.51.101.0',
    '2001:db8:8::1',
    '::ffff:203.0.113.8',
  ]) {
    assertRefused(await from(outside), 403, outside);
    assertRefused(await from(outside, password), 403, outside);
    assertRefused(await from(outside, { ...password, ...claims('203.0.113.7') }), 403, outside);
  }
  const past = { ...password, ...claims('203.0.113.7'), 'CF-Connecting-IP': '203.0.113.7' };
  assertRefused(await ask(stack, 'api', '/admin/queues', { headers: past }), 403, 'past Cloudflare');
});

/** The backend was not asked, and nobody keeps the answer. */
function assertRefused({ status, headers }: Answer, expected: number, what: string): void {
  assert.is(status, expected, what);
  assert.is(headers['x-instance'], undefined, what);
  assert.is(headers['x-cache-status'], undefined, what);
  assert.match(String(headers['cache-control']), /no-store/, what);
}

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
  assertDrained(d, ended);
  assert.match(upstreams(stack).backend, /^server backend-1:3001 .*\nserver backend-2:3001 /);
  assert.match(upstreams(stack).frontend, /^server frontend:8080 /);
  await assertNothingLeft(d);
});

test('a release that is never ready is taken back', async () => {
  const before = await serving(stack);
  // In a shell for staging, whose DEPLOY_ENV comes before --env for Compose.
  const env = { DEPLOY_READY_TIMEOUT: '20s', DEPLOY_ENV: 'staging' };
  const ended = await d.run('deploy', backendOf('2.1.0'), env);
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
