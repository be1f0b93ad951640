/** Nginx keeps of the API what the application calls public and what nginx/snippets/cached-paths.conf lists. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CREDENTIALS, PUBLIC, says, visitorsOf } from './lib/cached.ts';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { backendsAre, startPuppet, upstreamIs } from './lib/puppet.ts';
import { sharedStack } from './lib/shared.ts';

const stack = await sharedStack();
const cloudflare = await cloudflareBefore(stack);
const { withOwn, get } = visitorsOf(cloudflare);
const before = readFileSync(join(stack.directory, 'nginx/upstreams/backend.conf'), 'utf8');
const puppet = await startPuppet(stack);
test.before(() => backendsAre(stack, [puppet]));
test.after(() => upstreamIs(stack, 'backend', before).then(() => undefined));

/** The answers of two visitors to one address. */
async function two(path: string, first: Record<string, string> = {}, second: Record<string, string> = {}) {
  return [await get(path, first), await get(path, second)];
}

test('kept is what the application calls public, and what is listed; the second visitor gets it', async () => {
  for (const path of [
    `/api/v1/kept?${PUBLIC}`,
    `/api/v1/kept?${says('Cache-Control:PUBLIC, max-age=60')}`,
    `/api/v1/kept?${says('Cache-Control:max-age=0, s-maxage=60')}`,
    `/api/v1/kept?${says('Cache-Control:s-maxage=60', 'Vary:Accept-Language')}`,
    '/api/v1/articles/1',
    '/api/v1/ARTICLES/',
    `/api/v1/articles?${says('Cache-Control:max-age=60')}`,
  ]) {
    const [a, b] = await two(path);
    assert.is(a!.headers['x-cache-status'], 'MISS', path);
    assert.is(b!.headers['x-cache-status'], 'HIT', path);
    assert.is(a!.body, b!.body);
  }
});

test('a page gets no answer that was kept for no page: applications allow origins that ask, and forget Vary', async () => {
  const origin = { Origin: `https://${stack.domain}` };
  const [, page] = await two(`/api/v1/kept/by-origin?${PUBLIC}`, {}, origin);
  assert.is(JSON.parse(page!.body).headers.origin, origin.Origin);
  const [, again] = await two(`/api/v1/kept/by-origin?${PUBLIC}`, origin, origin);
  assert.is(again!.headers['x-cache-status'], 'HIT');
});

test('nothing else is kept, whatever it is: two visitors have two answers', async () => {
  const streamed = 'type=text/event-stream';
  for (const path of [
    '/api/v1/other',
    ...['max-age=60', 'private', 'no-store', 'public, no-store', 'private, s-maxage=60'].map(
      said => `/api/v1/other?${says(`Cache-Control:${said}`)}`,
    ),
    `/api/v1/other?${says('Cache-Control:no-cache="set-cookie", public')}`,
    `/api/v1/other?${says('Cache-Control:republic, max-age=60')}`,
    `/api/v1/other?${says('Expires:Fri, 01 Jan 2100 00:00:00 GMT')}`,
    `/api/v1/other?${says('X-Accel-Expires:60')}`,
    `/api/v1/other?${says('X-Accel-Expires:60', 'Cache-Control:no-store')}`,
    `/api/v1/other?${PUBLIC}&${says('Vary:*')}`,
    `/api/v1/other?${PUBLIC}&${says('Set-Cookie:a=b')}`,
    `/api/v1/other?${streamed}`,
    `/api/v1/other?${streamed}&${PUBLIC}`,
    `/api/v1/articles?${streamed}`,
    `/api/v1/articles?type=multipart/x-mixed-replace`,
    `/api/v1/articles?${says('Cache-Control:no-store')}`,
    `/api/v1/articles?${says('Cache-Control:private')}`,
    `/api/v1/articles?${says('Set-Cookie:a=b')}`,
    ...['404', '500', '301'].map(status => `/api/v1/other?status=${status}&${PUBLIC}`),
  ]) {
    const [a, b] = await two(path);
    assert.equal([a!.headers['x-cache-status'], b!.headers['x-cache-status']], ['MISS', 'MISS'], path);
    assert.is.not(a!.body, b!.body, path);
  }
});

test('a visitor with a credential of any name leaves nothing to the next', async () => {
  const headers = [...CREDENTIALS.map(([name]) => name), 'X-Token-Of-The-Product', 'X-Session', 'Client-Id'];
  for (const [at, name] of headers.entries()) {
    const [a, b] = await two(`/api/v1/mine/${at}`, { [name]: 'of the first' }, { [name]: 'of the second' });
    assert.match(a!.body, 'of the first', name);
    assert.match(b!.body, 'of the second', name);
    const [, none] = await two(`/api/v1/mine/${at}`, { [name]: 'of the first' });
    assert.not.match(none!.body, 'of the first', name);
  }
  for (const [name] of CREDENTIALS) {
    const [, none] = await two(`/api/v1/articles/${name}`, { [name]: 'of the first' });
    assert.not.match(none!.body, 'of the first', `${name} on a listed path`);
  }
  for (const query of ['token=1', 'access_token=1', 'API_KEY=1', 'signature=1']) {
    const [a, b] = await two(`/api/v1/articles?${query}`);
    assert.equal([a!.headers['x-cache-status'], b!.headers['x-cache-status']], ['BYPASS', 'BYPASS'], query);
  }
});

test('Range, If-None-Match and HEAD: from the store, or as the client asked', async () => {
  const path = `/api/v1/parts?${PUBLIC}&${says('ETag:"1"')}&size=500`;
  await get(path);
  const unchanged = await get(path, { 'If-None-Match': '"1"' });
  assert.is(unchanged.status, 304);
  const head = await cloudflare.ask(cloudflare.client(), 'api', withOwn(path), { method: 'HEAD' });
  assert.equal([head.status, head.headers['x-cache-status'], head.body], [200, 'HIT', '']);
  const part = JSON.parse((await get(path, { Range: 'bytes=0-9' })).body);
  assert.is(part.headers.range, 'bytes=0-9');
  const mine = JSON.parse((await get(path, { Authorization: 'Bearer x', 'If-None-Match': '"1"' })).body);
  assert.is(mine.headers['if-none-match'], '"1"');
});

test.run();
