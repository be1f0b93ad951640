import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import { CREDENTIALS, PUBLIC, says, visitorsOf } from './lib/cached.ts';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { json } from './lib/http.ts';
import { backendsAre, startPuppet, upstreamIs } from './lib/puppet.ts';
import { sharedStack } from './lib/shared.ts';

const stack = await sharedStack();
const cloudflare = await cloudflareBefore(stack);

const { own, withOwn, get } = visitorsOf(cloudflare);

async function account(name: string) {
  const email = `${name}-${own}@example.com`;
  const credentials = json({ email, password: `the password of ${name}` });
  const client = cloudflare.client();
  await cloudflare.ask(client, 'api', '/api/v1/auth/register', credentials);
  const { headers, body } = await cloudflare.ask(client, 'api', '/api/v1/auth/login', credentials);
  const [cookie = ''] = headers['set-cookie'] ?? [];
  return {
    email,
    bearer: { Authorization: `Bearer ${JSON.parse(body).token}` },
    cookie: { Cookie: cookie.split(';')[0]! },
  };
}

const puppet = await startPuppet(stack);
let inPlace = false;

/** The puppet replaces the backends until {@link theBackends}: a reload takes a while. */
async function thePuppet(): Promise<void> {
  if (!inPlace) await backendsAre(stack, [puppet]);
  inPlace = true;
}

async function theBackends(): Promise<void> {
  if (inPlace) await upstreamIs(stack, 'backend', before);
  inPlace = false;
}
const before = readFileSync(join(stack.directory, 'nginx/upstreams/backend.conf'), 'utf8');

/** Ten requests at once over connections that are open already, each another client's. */
async function tenAtOnce(path: string, warmUp: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 10 });
  const ten = (of: string) => Promise.all(Array.from({ length: 10 }, () => get(of, {}, 'api', agent)));
  try {
    await ten(warmUp);
    return await ten(path);
  } finally {
    agent.destroy();
  }
}

test('two users and one cache: each sees only their own data, by token and by cookie', async () => {
  await theBackends();
  const [ann, bob] = [await account('ann'), await account('bob')];
  for (let round = 0; round < 3; round++) {
    for (const kind of ['bearer', 'cookie'] as const) {
      for (const user of [ann, bob]) {
        const { status, headers, body } = await get('/api/v1/me', user[kind]);
        assert.is(status, 200);
        assert.is(JSON.parse(body).email, user.email);
        assert.is(headers['x-cache-status'], 'BYPASS');
      }
    }
    assert.is((await get('/api/v1/me')).status, 401, 'and a request without credentials sees none');
  }
});

test('a public answer is cached, and shared by requests without credentials', async () => {
  await theBackends();
  const first = await get('/api/v1/articles');
  assert.is(first.headers['x-cache-status'], 'MISS');
  const second = await get('/api/v1/articles');
  assert.is(second.headers['x-cache-status'], 'HIT');
  assert.is(second.body, first.body);
});

test('an answer to a request with credentials is never cached', async () => {
  await thePuppet();
  for (const [name, value] of CREDENTIALS) {
    const credentials = { [name]: value };
    const path = `/api/v1/${name}/${value.replace(/\W/g, '')}?${PUBLIC}`;
    assert.is((await get(path, credentials)).headers['x-cache-status'], 'BYPASS');
    assert.is((await get(path)).headers['x-cache-status'], 'MISS');
    assert.is((await get(path)).headers['x-cache-status'], 'HIT');
    assert.is((await get(path, credentials)).headers['x-cache-status'], 'BYPASS');
  }
});

test('a POST reaches the application each time, and health and /auth have no cache', async () => {
  await thePuppet();
  const posted = { method: 'POST', body: 'x' };
  const counts: number[] = [];
  for (let i = 0; i < 2; i++) {
    const { body } = await cloudflare.ask(cloudflare.client(), 'api', withOwn('/api/v1/posted'), posted);
    assert.is(JSON.parse(body).method, 'POST');
    counts.push(JSON.parse(body).count);
  }
  assert.is(counts[1], counts[0]! + 1, 'the second POST reaches the application too');
  for (const path of ['/api/v1/health', '/api/v1/health/ready', '/api/v1/auth/verify?token=1'])
    assert.not((await get(path)).headers['x-cache-status'], path);
});

test('answers that differ by Origin are cached separately', async () => {
  await thePuppet();
  const path = `/api/v1/vary?${PUBLIC}&${says('Vary:Origin')}`;
  for (const origin of ['https://a.example', 'https://b.example']) {
    const { headers, body } = await get(path, { Origin: origin });
    assert.is(headers['x-cache-status'], 'MISS');
    assert.is(JSON.parse(body).headers.origin, origin);
  }
  assert.is((await get(path, { Origin: 'https://a.example' })).headers['x-cache-status'], 'HIT');
});

test('of many clients that miss at once, one asks the application', async () => {
  await thePuppet();
  // The others wait for its answer for 100 ms. On a busy machine it may take longer, and they ask too.
  const seen: string[] = [];
  await until(
    'ten clients get one answer',
    async () => {
      const answers = await tenAtOnce(
        `/api/v1/locked${seen.length}?wait=40&${PUBLIC}`,
        '/api/v1/auth/session',
      );
      const counts = new Set(answers.map(({ body }) => JSON.parse(body).count));
      const missed = answers.filter(({ headers }) => headers['x-cache-status'] === 'MISS').length;
      seen.push(`${counts.size} answers, ${missed} missed`);
      return counts.size === 1 && missed === 1;
    },
    20,
  ).catch(error => assert.unreachable(`${error.message}: ${seen.join('; ')}`));
});

test('requests for an answer that can’t be cached do not wait for each other', async () => {
  await thePuppet();
  // The puppet keeps them for less than the five seconds for which Nginx would, unless told, let one at a time through.
  const answers = await tenAtOnce(
    '/api/v1/unkept?together=10&header=Cache-Control:no-store',
    '/api/v1/auth/session',
  );
  assert.is(Math.max(...answers.map(({ body }) => JSON.parse(body).most)), 10);
});

test('an expired answer is served while the application fails, and not when it has another one', async () => {
  await thePuppet();
  const path = `/api/v1/stale?${says('Cache-Control:public, max-age=1')}`;
  const fresh = await get(path);
  assert.is(fresh.headers['x-cache-status'], 'MISS');
  await backendsAre(stack, ['nobody']);
  let answer = fresh;
  await until('it has expired', async () => {
    answer = await get(path);
    assert.is(answer.status, 200);
    assert.is(answer.body, fresh.body);
    return answer.headers['x-cache-status'] !== 'HIT';
  });
  assert.is(answer.headers['x-cache-status'], 'STALE');
  // An answer that is not stored does not leave the old one in its place.
  await theBackends();
  assert.is((await get(path)).status, 404);
  assert.is((await get(path)).status, 404);
});

test('public text is compressed, and private text is not', async () => {
  await thePuppet();
  const zipped = { 'Accept-Encoding': 'gzip' };
  assert.is((await get('/api/v1/big?size=5000', zipped)).headers['content-encoding'], 'gzip');
  for (const [name, value] of CREDENTIALS) {
    const { headers, body } = await get('/api/v1/big?size=5000', { ...zipped, [name]: value });
    assert.not(headers['content-encoding']);
    assert.ok(body.length > 5000, 'it is long enough to be compressed');
  }
  const login = await get('/api/v1/auth/session?size=5000', zipped);
  assert.not(login.headers['content-encoding']);
  assert.ok(login.body.length > 5000);
});

test('the frontend: assets for a year, other files for a day, index.html never', async () => {
  await theBackends();
  const page = await get('/', {}, 'site');
  assert.is(page.headers['cache-control'], 'no-cache');
  assert.not(page.headers['x-cache-status']);
  assert.is((await get('/some/route/of/the/app', {}, 'site')).headers['cache-control'], 'no-cache');
  const asset = /assets\/[^"]+\.js/.exec(page.body)![0];
  for (const status of ['MISS', 'HIT']) {
    const { headers } = await get(`/${asset}`, { 'Accept-Encoding': 'gzip' }, 'site');
    assert.is(headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.is(headers['x-cache-status'], status);
    assert.is(headers['content-type'], 'application/javascript; charset=utf-8');
  }
  const version = await get('/version.json', {}, 'site');
  assert.is(version.headers['cache-control'], 'public, max-age=86400');
  assert.is((await get('/version.json', {}, 'site')).headers['x-cache-status'], 'HIT');
});

test('a page instead of a missing asset is cached neither here nor in a browser', async () => {
  const list = await upstreamIs(stack, 'frontend', `server ${puppet}:3000 max_fails=0 resolve;\n`);
  try {
    for (let i = 0; i < 2; i++) {
      const { headers } = await get('/assets/gone.js?type=text/html', {}, 'site');
      assert.is(headers['cache-control'], 'no-cache');
      assert.is(headers['x-cache-status'], 'MISS');
    }
    const { headers } = await get('/assets/gone.js?status=404', {}, 'site');
    assert.not(headers['cache-control']);
  } finally {
    await upstreamIs(stack, 'frontend', list);
  }
});

test('the application gets its requests again', async () => {
  await theBackends();
  const { headers } = await get('/api/v1/articles');
  assert.match(`${headers['x-instance']}`, /^backend-[12]$/);
});

test.run();
