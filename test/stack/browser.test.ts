/** Site and API are two origins: a browser shows a page an error of the API only where Nginx says that it may. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import { type Page, startBrowser } from './lib/browser.ts';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { hostOf } from './lib/http.ts';
import { reload, serverLines, startPuppet, withUpstreams } from './lib/puppet.ts';
import { sharedStack } from './lib/shared.ts';

const stack = await sharedStack();
const [api, site] = [`https://${hostOf(stack, 'api')}`, `https://${stack.domain}`];
const cloudflare = await cloudflareBefore(stack);
const browser = await startBrowser(stack, cloudflare);
// No page of the application, which would ask the API for things of its own.
const page = await browser.open(`${site}/version.json`);

interface Read {
  status?: number;
  json?: { status: number; error: string };
  retryAfter?: string | null;
  requestId?: string | null;
  /** What the browser says where a page may not read. */
  error?: string;
}

/** The ways in which a page asks: without and with cookies, and with a header for which the browser asks first. */
const WAYS = {
  plain: {},
  cookies: { credentials: 'include' },
  preflight: { headers: { Authorization: 'Bearer x' } },
  both: {
    credentials: 'include',
    headers: { Authorization: 'Bearer x', 'Content-Type': 'application/json' },
  },
};

const fetchIn = (from: Page, path: string, init = '{}'): Promise<Read> =>
  from.run(`(async () => {
    try {
      const response = await fetch(${JSON.stringify(api)} + ${path}, ${init});
      const text = await response.text();
      let json;
      try { json = JSON.parse(text); } catch {}
      const { status, headers } = response;
      return { status, json, retryAfter: headers.get('retry-after'), requestId: headers.get('x-request-id') };
    } catch (error) {
      return { error: error.message };
    }
  })()`);

/** A page reads an error in each way that it can ask in. */
async function readable(path: string, status: number, retryAfter: string | null, init: object = {}) {
  for (const [way, options] of Object.entries(WAYS)) {
    const read = await fetchIn(page, path, JSON.stringify({ ...init, ...options }));
    assert.is(read.status, status, `${way}: ${page.failures}`);
    assert.is(read.json?.status, status, way);
    assert.type(read.json?.error, 'string');
    assert.is(read.retryAfter, retryAfter, way);
    assert.match(`${read.requestId}`, /^[0-9a-f]{32}$/, way);
  }
}

test('a page reads 400, 404 and 414, whether the browser asks first or not', async () => {
  await readable("'/api/v1/a%2Fb'", 400, null);
  await readable("'/none'", 404, null);
  await readable("'/api/v1/metrics'", 404, null);
  await readable("'/api/v1/articles?q=' + 'x'.repeat(10_000)", 414, null);
});

test('a page reads 413, before its body is through', async () => {
  const init = `{ method: 'POST', body: 'x'.repeat(2e6), headers: { 'Content-Type': 'application/json' } }`;
  const read = await fetchIn(page, "'/api/v1/orders'", init);
  assert.is(read.status, 413, read.error);
  assert.equal(read.json, { status: 413, error: 'request body too large' });
});

test('a path that Nginx can’t read: a page reads 400', async () => {
  const read = await fetchIn(page, "'/api/v1/articles/100%'");
  assert.is(read.status, 400, `${page.failures}`);
  assert.equal(read.json, { status: 400, error: 'bad request' });
});

test('cookies of 12 KB reach the application; of 431 a page reads why', async () => {
  const other = await browser.open(`${site}/version.json`);
  for (const [count, status] of [
    [3, 200],
    [4, 431],
  ] as const) {
    const cookie = { name: `cookie${count}`, value: 'x'.repeat(4000), domain: hostOf(stack, 'api') };
    for (let n = 0; n < count; n++) await other.setCookie({ ...cookie, name: `cookie${n}` });
    const read = await fetchIn(other, "'/api/v1/whoami'", JSON.stringify(WAYS.cookies));
    assert.is(read.status, status, read.error);
    if (status === 431) assert.is(read.json?.error, 'request headers too large');
  }
});

test('30 calls with preflights meet the limit of calls, and no other; of 429 a page reads when to ask again', async () => {
  const reads: Read[] = await page.run(`(async () => {
    // When it is done again: what the calls before cost is given back in three seconds.
    if (globalThis.again) await new Promise(resolve => setTimeout(resolve, 3000));
    globalThis.again = true;
    return Promise.all(Array.from({ length: 30 }, async (_, n) => {
    const url = ${JSON.stringify(api)} + '/api/v1/whoami?n=' + n;
    try {
      const response = await fetch(url, { headers: { Authorization: 'Bearer x' } });
      return { status: response.status, retryAfter: response.headers.get('retry-after') };
    } catch (error) {
      return { error: error.message };
    }
  }));
  })()`);
  const refused = reads.filter(({ status }) => status !== 200);
  assert.ok(refused.length >= 1 && refused.length <= 15, `${refused.length} of 30 refused`);
  for (const read of refused) assert.equal(read, { status: 429, retryAfter: '20' });
});

test('503 of maintenance, 502 and 504 are read in each way, and the next call reaches the application', async () => {
  // What the 30 calls cost is given back in two seconds, and a quick machine is here before.
  await new Promise(resolve => setTimeout(resolve, 2500));
  const flag = join(stack.directory, 'nginx/maintenance/on');
  writeFileSync(flag, '');
  try {
    await readable("'/api/v1/whoami'", 503, '120');
    // Methods and headers of which the application says nothing: what counts is that the page reads why.
    const unusual = { method: 'DELETE', headers: { 'X-Unusual': '1' } };
    const read = await fetchIn(page, "'/api/v1/orders/1'", JSON.stringify(unusual));
    assert.equal(read.json, { status: 503, error: 'down for maintenance' }, read.error);
  } finally {
    rmSync(flag);
  }
  await withUpstreams(stack, { backend: serverLines(['nobody']) }, () =>
    readable("'/api/v1/whoami'", 502, '5'),
  );
  const puppet = await startPuppet(stack);
  const file = join(stack.directory, 'nginx/snippets/proxy.conf');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace('proxy_read_timeout 30s', 'proxy_read_timeout 300ms'));
  try {
    await withUpstreams(stack, { backend: serverLines([puppet]) }, () =>
      readable("'/api/v1/slow?wait=3000'", 504, '5'),
    );
  } finally {
    writeFileSync(file, text);
    await reload(stack);
    await stack.docker('rm', '--force', puppet);
  }
  await until('the application answers', async () => {
    const { status } = await fetchIn(page, "'/api/v1/whoami'", JSON.stringify(WAYS.both));
    return status === 200;
  });
});

test('a page of another origin reads nothing', async () => {
  const flag = join(stack.directory, 'nginx/maintenance/on');
  const elsewhere = await browser.open('data:text/html,<title>elsewhere</title>');
  const unreadable = async (path: string) => {
    for (const [way, options] of Object.entries(WAYS)) {
      const read = await fetchIn(elsewhere, path, JSON.stringify(options));
      assert.equal(read, { error: 'Failed to fetch' }, `${path} ${way}`);
      assert.match(elsewhere.failures.join(), /MissingAllowOriginHeader/, `${path} ${way}`);
    }
  };
  await unreadable("'/none'");
  writeFileSync(flag, '');
  try {
    await unreadable("'/api/v1/whoami'");
  } finally {
    rmSync(flag);
  }
});

const CORS = /^access-control-/;

test('an answer has the headers of one author, and each once', async () => {
  const ask = (origin: string, path: string, method = 'GET') =>
    cloudflare.ask(cloudflare.client(), 'api', path, { method, headers: { Origin: origin } });
  // The application's own, on an answer and on an error of its own.
  for (const [path, status] of [
    ['/api/v1/articles', 200],
    ['/api/v1/none', 404],
  ] as const) {
    const { status: given, lines } = await ask(site, path);
    assert.is(given, status);
    const names = lines.map(([name]) => name).filter(name => CORS.test(name));
    assert.is(new Set(names).size, names.length, path);
    assert.equal(
      names.filter(name => name === 'access-control-expose-headers'),
      [],
    );
  }
  for (const method of ['GET', 'TRACE']) {
    const { status, headers, lines } = await ask(site, '/none', method);
    assert.is(status, method === 'GET' ? 404 : 405);
    assert.is(headers['access-control-allow-origin'], site);
    assert.is(headers['access-control-allow-credentials'], 'true');
    assert.match(`${headers.vary}`, /\bOrigin\b/);
    const names = lines.map(([name]) => name).filter(name => CORS.test(name));
    assert.is(new Set(names).size, names.length);
  }
  for (const origin of [
    'null',
    site.replace('https', 'http'),
    `${site}.example`,
    `${site}:444`,
    site.replace('.', 'x'),
    `https://x${stack.domain}`,
    `https://www.${stack.domain}`,
    api,
    site.toUpperCase(),
  ]) {
    const { headers, lines } = await ask(origin, '/none');
    assert.equal(
      lines.filter(([name]) => CORS.test(name)),
      [],
      origin,
    );
    assert.match(`${headers.vary}`, /\bOrigin\b/);
  }
});

test('an OPTIONS that is no preflight counts as a call; preflights end at a limit of their own', async () => {
  const preflight = { Origin: site, 'Access-Control-Request-Method': 'GET' };
  const refusedOf = async (count: number, headers: Record<string, string>) => {
    const client = cloudflare.client();
    const ask = () => cloudflare.ask(client, 'api', '/api/v1/whoami', { method: 'OPTIONS', headers });
    const answers = await Promise.all(Array.from({ length: count }, ask));
    return answers.filter(({ status }) => status === 429).length;
  };
  assert.is(await refusedOf(40, preflight), 0);
  assert.ok((await refusedOf(40, { Origin: site })) > 0);
  assert.ok((await refusedOf(40, { 'Access-Control-Request-Method': 'GET' })) > 0);
  await until('a flood of preflights is refused', async () => (await refusedOf(250, preflight)) > 0);
});

test.run();
