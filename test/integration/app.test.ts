import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Backend, startAppWorld } from '../support/app/app.ts';
import { send, startUpload } from '../support/app/load.ts';
import { until } from '../support/core/world.ts';

const world = await startAppWorld();
const { sql } = world.database;
const [one, two] = (await world.start(
  { INSTANCE_ID: 'backend-1', APP_VERSION: '1.2.3' },
  { INSTANCE_ID: 'backend-2' },
)) as [Backend, Backend];

type Call = { body?: unknown; headers?: Record<string, string> };

/** One request with a JSON body, if any, and its answer read as JSON. */
async function call({ url }: Backend, request: string, { body, headers }: Call = {}) {
  const [method, path] = request.split(' ') as [string, string];
  const answer = await send(method, url + path, {
    body: body === undefined ? undefined : JSON.stringify(body),
    headers,
  });
  return { ...answer, json: answer.body.startsWith('{') ? JSON.parse(answer.body) : undefined };
}

async function logIn(backend: Backend, email: string) {
  const body = { email, password: 'correct horse' };
  assert.is((await call(backend, 'POST /auth/register', { body })).status, 201);
  const { headers, json } = await call(backend, 'POST /auth/login', { body });
  const cookie = String(headers['set-cookie']);
  assert.match(cookie, /^session=[\w-]+; Path=\/; Max-Age=86400; HttpOnly; Secure; SameSite=Lax$/);
  return { Cookie: cookie.split(';')[0]!, Authorization: `Bearer ${json.token}` };
}

/** When an instance is ready, all of its connections stand. */
async function untilReady(backend: Backend) {
  await until('it is ready', async () => (await call(backend, 'GET /health/ready')).status === 200);
}

/** The value of a metric, by its name with labels. */
async function metric(backend: Backend, name: string): Promise<number> {
  const { body } = await call(backend, 'GET /metrics');
  const line = body.split('\n').find(text => text.startsWith(`${name} `));
  assert.ok(line, `no metric ${name} in\n${body}`);
  return Number(line.split(' ')[1]);
}

test('probes: liveness, readiness, metrics with requests in flight', async () => {
  const health = await call(one, 'GET /health');
  assert.is(health.status, 200);
  assert.equal(health.json, { status: 'ok', version: '1.2.3', instance: 'backend-1' });
  await untilReady(one);
  const ready = await call(one, 'GET /health/ready');
  assert.equal(ready.json, { status: 'ready', failed: [], version: '1.2.3', instance: 'backend-1' });

  const inFlight = () => metric(one, 'http_requests_in_flight');
  assert.is(await inFlight(), 0, 'the request for metrics does not count');
  // Uploads that are not whole are in flight for as long as the test wants.
  const uploads = [startUpload(one.url), startUpload(one.url)];
  await until('both are in flight', async () => (await inFlight()) === 2);
  for (const { finish } of uploads) assert.is((await finish()).status, 201);
  await until('none is', async () => (await inFlight()) === 0);
  assert.is((await call(one, 'GET /slow?ms=1')).status, 200);
  const counted = 'http_request_duration_seconds_count{method="GET",route="/api/v1/slow",status="200"}';
  assert.is(await metric(one, counted), 1);

  assert.is((await call(one, 'GET /nothing')).status, 404);
  await until('the last request is in the log', () => one.output().includes('/api/v1/nothing'));
  const lines = one.output().trim().split('\n');
  assert.ok(lines.length > 4);
  for (const line of lines) assert.type(JSON.parse(line).message, 'string');
  assert.match(one.output(), '"path":"/api/v1/slow"');
  assert.not.match(one.output(), 'ms=1', 'queries stay out of the log');
});

test('accounts: two users, by token and by cookie, on two instances; a forged token and a logout', async () => {
  const [ada, bob] = [await logIn(one, 'ada@example.com'), await logIn(one, 'bob@example.com')];

  // What the first instance gave is good for the second: nothing about a user is kept in a process.
  const me = async (headers: Record<string, string>) => (await call(two, 'GET /me', { headers })).json.email;
  assert.is(await me({ Cookie: ada.Cookie }), 'ada@example.com');
  assert.is(await me({ Cookie: bob.Cookie }), 'bob@example.com');
  assert.is(await me({ Authorization: ada.Authorization }), 'ada@example.com');
  assert.is(await me({ Authorization: bob.Authorization }), 'bob@example.com');
  assert.is((await call(two, 'GET /me')).status, 401);
  const forged = { Authorization: bob.Authorization.slice(0, -2) + 'xx' };
  assert.is((await call(two, 'GET /me', { headers: forged })).status, 401);

  assert.is((await call(one, 'POST /auth/logout', { headers: { Cookie: ada.Cookie } })).status, 204);
  assert.is((await call(two, 'GET /me', { headers: { Cookie: ada.Cookie } })).status, 401);
  assert.is((await call(two, 'GET /me', { headers: { Cookie: bob.Cookie } })).status, 200);
});

test('content: a public list, a private answer, orders that count twice, an upload, a job', async () => {
  const backend = one;
  await sql('TRUNCATE uploads');
  const list = await call(backend, 'GET /articles');
  assert.is(list.headers['cache-control'], 'public, max-age=300');
  assert.is(list.json.articles.length, 20);
  const headers = await logIn(backend, 'eve@example.com');
  assert.is((await call(backend, 'GET /me', { headers })).headers['cache-control'], undefined);
  const seen = await call(backend, 'GET /whoami', {
    headers: { 'X-Forwarded-For': '192.0.2.1, 192.0.2.2' },
  });
  assert.is(seen.json.ip, '192.0.2.2', 'only the nearest proxy is believed');

  const id = randomUUID();
  for (let i = 0; i < 2; i++) assert.is((await call(backend, 'POST /orders', { body: { id } })).status, 201);
  assert.is(await sql(`SELECT count(*) FROM orders WHERE id = '${id}'`), '2');
  assert.is((await call(backend, 'POST /orders', { body: { id: '7' } })).status, 400);

  const bytes = randomBytes(3_000_000);
  const upload = await fetch(`${backend.url}/uploads`, { method: 'POST', body: bytes });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  assert.equal(await upload.json(), { bytes: bytes.length, sha256 });
  assert.is(await sql('SELECT bytes, sha256, instance FROM uploads'), `3000000|${sha256}|backend-1`);

  const job = (await call(backend, 'POST /jobs', { body: { ms: 50 } })).json;
  await until('the job is done', async () => {
    const { state } = (await call(backend, `GET /jobs/${job.id}`)).json;
    assert.ok(['waiting', 'active', 'completed'].includes(state), state);
    return state === 'completed';
  });
  assert.match(await sql('SELECT job_id, instance FROM job_runs'), new RegExp(`^${job.id}\\|backend-[12]$`));
  assert.is(await metric(backend, 'queue_jobs{state="completed"}'), 1);
});

// Its variants: test/long/integration/app.test.ts; in a deployment: test/stack/deploy-faults.test.ts.
test('readiness needs Redis and the database; liveness, metrics and the shutdown need neither', async () => {
  // The sockets' connection notices a moment after the first command that fails.
  const untilFailed = (...names: string[]) =>
    until(`${names} and no other part fails`, async () => {
      const { status, json } = await call(one, 'GET /health/ready');
      return status === 503 && json.failed.join() === names.join();
    });
  await untilReady(one);
  await two.stop(); // it would only try to connect again
  await world.redis.stop();
  await untilFailed('redis', 'sockets');
  assert.is((await call(one, 'GET /articles')).status, 200);
  await world.database.stop();
  await untilFailed('database', 'redis', 'sockets');
  assert.is((await call(one, 'GET /health/ready')).status, 503);
  assert.is((await call(one, 'GET /articles')).status, 500);
  assert.is((await call(one, 'GET /health')).status, 200);
  await until('no request is in flight', async () => (await metric(one, 'http_requests_in_flight')) === 0);
  assert.equal(await one.stop(), { code: 0, signal: null });
});

test('the servers stop', world.stop);

test.run();
