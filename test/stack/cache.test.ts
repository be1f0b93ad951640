import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { json } from './lib/http.ts';
import { backendsAre, startPuppet, upstreamIs } from './lib/puppet.ts';
import { startStack } from './lib/stack.ts';

const stack = await startStack();
const cloudflare = await cloudflareBefore(stack);

const CREDENTIALS = [
  ['Authorization', 'Bearer x'],
  ['Authorization', 'Basic eA=='],
  ['Cookie', 'a=b'],
] as const;

let clients = 0;
/** Each request is another client's, so that no limit is met. */
const get = (path: string, headers: Record<string, string> = {}, part: 'api' | 'site' = 'api') =>
  cloudflare.ask(`198.51.100.${++clients % 250}`, part, path, { headers });

async function account(name: string) {
  const credentials = json({ email: `${name}@example.com`, password: `the password of ${name}` });
  const client = `203.0.113.${++clients}`;
  await cloudflare.ask(client, 'api', '/api/v1/auth/register', credentials);
  const { headers, body } = await cloudflare.ask(client, 'api', '/api/v1/auth/login', credentials);
  const [cookie = ''] = headers['set-cookie'] ?? [];
  return {
    email: `${name}@example.com`,
    bearer: { Authorization: `Bearer ${JSON.parse(body).token}` },
    cookie: { Cookie: cookie.split(';')[0]! },
  };
}

const puppet = await startPuppet(stack);

async function withPuppet(work: () => Promise<void>): Promise<void> {
  await backendsAre(stack, [puppet]);
  try {
    await work();
  } finally {
    await backendsAre(stack, ['backend-1', 'backend-2']);
  }
}

test('two users and one cache: each sees only what is theirs, by token and by cookie', async () => {
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
    assert.is((await get('/api/v1/me')).status, 401, 'and nobody sees what is nobody’s');
  }
});

test('what everybody may read is kept, and shared by those who show no credentials', async () => {
  const first = await get('/api/v1/articles');
  assert.is(first.headers['x-cache-status'], 'MISS');
  const second = await get('/api/v1/articles');
  assert.is(second.headers['x-cache-status'], 'HIT');
  assert.is(second.body, first.body);
});

test('an answer to somebody with credentials is never stored for others', () =>
  withPuppet(async () => {
    for (const [name, value] of CREDENTIALS) {
      const credentials = { [name]: value };
      const path = `/api/v1/${value.replace(/\W/g, '')}`;
      assert.is((await get(path, credentials)).headers['x-cache-status'], 'BYPASS');
      assert.is((await get(path)).headers['x-cache-status'], 'MISS');
      assert.is((await get(path)).headers['x-cache-status'], 'HIT');
      assert.is((await get(path, credentials)).headers['x-cache-status'], 'BYPASS');
    }
  }));

test('only GET and 200 are kept, and what the application forbids to keep is not', () =>
  withPuppet(async () => {
    for (const query of [
      'status=404',
      'status=500',
      'status=301',
      'header=Cache-Control:no-store',
      'header=Cache-Control:private',
      'header=Set-Cookie:a%3Db',
    ]) {
      for (let i = 0; i < 2; i++) {
        const { headers } = await get(`/api/v1/kept?${query}`);
        assert.is(headers['x-cache-status'], 'MISS', query);
      }
    }
    for (const count of [1, 2]) {
      const { body } = await cloudflare.ask('198.51.100.1', 'api', '/api/v1/posted', {
        method: 'POST',
        body: 'x',
      });
      assert.is(JSON.parse(body).method, 'POST', `the ${count}. POST reaches the application`);
    }
    for (const path of ['/api/v1/health', '/api/v1/health/ready', '/api/v1/auth/verify?token=1']) {
      assert.not((await get(path)).headers['x-cache-status'], path);
    }
  }));

test('answers that differ by Origin are kept apart', () =>
  withPuppet(async () => {
    const path = '/api/v1/vary?header=Vary:Origin';
    for (const origin of ['https://a.example', 'https://b.example']) {
      const { headers, body } = await get(path, { Origin: origin });
      assert.is(headers['x-cache-status'], 'MISS');
      assert.is(JSON.parse(body).headers.origin, origin);
    }
    assert.is((await get(path, { Origin: 'https://a.example' })).headers['x-cache-status'], 'HIT');
  }));

test('of many clients that miss at once, one asks the application', () =>
  withPuppet(async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => get('/api/v1/locked?wait=40')));
    const counts = new Set(answers.map(({ body }) => JSON.parse(body).count));
    assert.is(counts.size, 1);
    assert.is(answers.filter(({ headers }) => headers['x-cache-status'] === 'MISS').length, 1);
  }));

test('what may not be kept is not waited for: those who ask at once are answered at once', () =>
  withPuppet(async () => {
    const path = '/api/v1/unkept?wait=2000&header=Cache-Control:no-store';
    const answers = await Promise.all(Array.from({ length: 30 }, () => get(path)));
    assert.is(Math.max(...answers.map(({ body }) => JSON.parse(body).most)), 30);
  }));

test('an expired answer is served while the application fails', () =>
  withPuppet(async () => {
    const path = '/api/v1/stale?header=Cache-Control:max-age%3D1';
    const fresh = await get(path);
    assert.is(fresh.headers['x-cache-status'], 'MISS');
    await stack.docker('pause', puppet);
    try {
      await sleep(2100);
      const stale = await get(path);
      assert.is(stale.status, 200);
      assert.match(`${stale.headers['x-cache-status']}`, /^(STALE|UPDATING)$/);
      assert.is(stale.body, fresh.body);
    } finally {
      await stack.docker('unpause', puppet);
    }
  }));

test('public text is compressed, and one user’s is not', () =>
  withPuppet(async () => {
    const zipped = { 'Accept-Encoding': 'gzip' };
    assert.is((await get('/api/v1/big?size=5000', zipped)).headers['content-encoding'], 'gzip');
    for (const [name, value] of CREDENTIALS) {
      const { headers } = await get('/api/v1/big?size=5000', { ...zipped, [name]: value });
      assert.not(headers['content-encoding']);
    }
    const login = await get('/api/v1/auth/session?size=5000', zipped);
    assert.not(login.headers['content-encoding']);
  }));

test('the frontend: assets for a year, other files for a day, index.html never', async () => {
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

test('a page in the place of a missing asset is not kept, neither here nor in a browser', async () => {
  const before = await upstreamIs(stack, 'frontend', `server ${puppet}:3000 max_fails=0 resolve;\n`);
  try {
    for (let i = 0; i < 2; i++) {
      const { headers } = await get('/assets/gone.js?type=text/html', {}, 'site');
      assert.is(headers['cache-control'], 'no-cache');
      assert.is(headers['x-cache-status'], 'MISS');
    }
    const { headers } = await get('/assets/gone.js?status=404', {}, 'site');
    assert.not(headers['cache-control']);
  } finally {
    await upstreamIs(stack, 'frontend', before);
  }
});

test.run();
