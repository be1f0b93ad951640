import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { type Answer, ask, hostOf, json, sendRaw } from './lib/http.ts';
import { reload, serverLines, startPuppet, withUpstreams } from './lib/puppet.ts';
import { sharedStack } from './lib/shared.ts';

const stack = await sharedStack();
const cloudflare = await cloudflareBefore(stack);
const puppet = await startPuppet(stack);

const get = (part: 'api' | 'www' | 'site', path: string) => cloudflare.ask(cloudflare.client(), part, path);

const STRICT = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS = {
  'strict-transport-security': /^max-age=63072000; includeSubDomains; preload$/,
  'content-security-policy': /^default-src 'none'; /,
  'x-frame-options': /^DENY$/,
  'x-content-type-options': /^nosniff$/,
  'referrer-policy': /^strict-origin-when-cross-origin$/,
  'permissions-policy': /camera=\(\)/,
  'cross-origin-opener-policy': /^same-origin$/,
  'cross-origin-resource-policy': /^same-site$/,
};

/** Every header once, whatever sends the answer. */
function secured(answer: Answer, status: number): void {
  assert.is(answer.status, status);
  for (const [name, pattern] of Object.entries(HEADERS)) {
    const values = answer.lines.filter(([line]) => line === name).map(([, value]) => value);
    assert.is(values.length, 1, `${name} on ${status}: ${values.length} times`);
    assert.match(values[0]!, pattern);
  }
  const unwanted = answer.lines.filter(([line]) => line === 'x-powered-by' || line === 'x-xss-protection');
  assert.equal(unwanted, []);
  assert.is(answer.headers.server, 'nginx', 'the version is not told');
}

test('every security header is there once on 200, 301, 400, 404, 413, 429 and 502, of API and frontend', async () => {
  for (const path of ['/api/v1/articles', '/api/v1/whoami', '/api/v1/health'])
    secured(await get('api', path), 200);
  for (const path of ['/api/v1/none', '/none', '/api/v1/metrics']) secured(await get('api', path), 404);
  for (const path of ['/', '/assets/style-5ea6db4e.css', '/version.json'])
    secured(await get('site', path), 200);
  secured(await get('site', '/assets/none.js'), 404);
  secured(await get('www', '/'), 301);
  for (const part of ['api', 'site'] as const) secured(await get(part, '/api/v1\\articles'), 400);

  const login = json({ email: 'a@example.com', password: 'not the password' });
  const tries: Answer[] = [];
  const client = cloudflare.client();
  for (let i = 0; i < 6; i++) tries.push(await cloudflare.ask(client, 'api', '/api/v1/auth/login', login));
  secured(tries[5]!, 429);
  assert.is(tries[5]!.headers['retry-after'], '20');

  // Told by its header alone; the body would be reset when the answer comes.
  const large = { method: 'POST', headers: { 'Content-Length': '1048577' } };
  secured(await cloudflare.ask(cloudflare.client(), 'api', '/api/v1/orders', large), 413);

  const nobody = { backend: serverLines(['nobody']), frontend: 'server 127.0.0.1:9 max_fails=0;\n' };
  await withUpstreams(stack, nobody, async () => {
    const failed = await get('api', '/api/v1/whoami');
    secured(failed, 502);
    assert.equal(JSON.parse(failed.body), { status: 502, error: 'temporarily unavailable' });
    const page = await get('site', '/');
    secured(page, 502);
    assert.is(page.headers['cache-control'], 'no-store');
  });
});

test('security headers of an upstream are not passed on, and a page of the API can’t run scripts', async () => {
  await withUpstreams(stack, { backend: serverLines([puppet]) }, async () => {
    const own = [...Object.keys(HEADERS), 'x-powered-by', 'x-xss-protection'];
    const query = [...own, 'x-of-the-product'].map(name => `header=${name}:weak`).join('&');
    for (const status of [200, 404, 500]) {
      const answer = await get('api', `/api/v1/weak?status=${status}&${query}`);
      secured(answer, status);
      assert.is(answer.headers['content-security-policy'], STRICT);
      assert.is(answer.headers['x-of-the-product'], 'weak', 'the product’s other headers come through');
    }
  });
  const policy = (await get('site', '/')).headers['content-security-policy'];
  assert.match(`${policy}`, `connect-src 'self' https://api.${stack.domain} wss://api.${stack.domain} `);
  assert.not.match(`${policy}`, /unsafe|http:|\*;/);
});

test('maintenance begins and ends with a file, without a reload, and its 503 has the headers', async () => {
  const flag = join(stack.directory, 'nginx/maintenance/on');
  writeFileSync(flag, '');
  try {
    const page = await get('site', '/any/path');
    secured(page, 503);
    assert.match(page.body, 'Back in a moment');
    assert.match(`${page.headers['content-type']}`, /^text\/html/);
    assert.not.match(page.body, /<script|<link|src=|https?:|url\(/, 'it needs nothing from anywhere');
    assert.is(page.headers['retry-after'], '120');
    const api = await get('api', '/api/v1/articles');
    secured(api, 503);
    assert.equal(JSON.parse(api.body), { status: 503, error: 'down for maintenance' });
  } finally {
    rmSync(flag);
  }
  assert.is((await get('site', '/')).status, 200);
});

test('in maintenance who is allowed passes, by the address that Cloudflare tells and by no other claim', async () => {
  const friend = cloudflare.client();
  const names = [
    'on',
    `allowed-${friend}`,
    'allowed-2001:db8:0:1',
    'allowed-2001:0:0:1',
    'allowed-2001:db8:7:0',
  ];
  const files = names.map(name => join(stack.directory, 'nginx/maintenance', name));
  const statuses = async (client: string) =>
    Promise.all([
      cloudflare.ask(client, 'site', '/').then(({ status }) => status),
      cloudflare.ask(client, 'api', '/api/v1/articles').then(({ status }) => status),
    ]);
  const inside = ['2001:db8:0:1::5', '2001:0db8::1:a:b:c:d', '2001::1:2:3:4:5', '2001:db8:7::1', friend];
  const outside = [
    '2001:db8::1',
    '2001:db8:0:2::5',
    '2001::2:2:3:4:5',
    '2001:db8:7:1::1',
    cloudflare.client(),
  ];
  const claims = { 'CF-Connecting-IP': friend, 'X-Forwarded-For': friend, 'X-Real-IP': friend };
  const look = async () => {
    for (const client of inside) assert.equal(await statuses(client), [200, 200], client);
    for (const client of outside) assert.equal(await statuses(client), [503, 503], client);
    assert.is((await ask(stack, 'site', '/', { headers: claims })).status, 503, 'not from Cloudflare');
    const own = await stack.exec('nginx', 'curl', '-fsS', 'http://127.0.0.1:8080/health');
    assert.is(own.stdout, 'ok\n', 'Docker’s check of Nginx');
  };
  for (const path of files) writeFileSync(path, '');
  try {
    await look();
    await reload(stack);
    await look();
  } finally {
    for (const path of files) rmSync(path);
  }
  for (const client of outside) assert.equal(await statuses(client), [200, 200], client);
});

/** What frameworks believe, as their manuals list it, and not as Nginx' own list does. */
const CLAIMS =
  'Forwarded Forwarded-For Proxy Front-End-Https True-Client-IP Fastly-Client-IP Client-IP CF-Connecting-IP ' +
  'X-Forwarded X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Server X-Forwarded-Ssl X-Forwarded-Scheme ' +
  'X-Forwarded-Uri X-Original-URL X-Rewrite-URL X-Original-Host X-HTTP-Method X-HTTP-Method-Override ' +
  'X-Method-Override X-Client-IP X-Cluster-Client-IP X-Forwarded-User X-Remote-User X-Forwarded-Client-Cert Client-Cert ' +
  'X-Middleware-Subrequest X_Forwarded_For X_Original_URL x_http_method_override';

test('what a client claims in a header that frameworks believe does not reach the application', async () => {
  const listed = readFileSync(join(stack.directory, 'nginx/snippets/claimed-headers.conf'), 'utf8');
  const names = [...listed.matchAll(/^proxy_set_header (\S+) "";/gm)].map(match => match[1]!);
  assert.ok(names.length > 60);
  const overwritten = [
    'X-Real-IP',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Request-Id',
  ];
  const claims = [...CLAIMS.split(' '), ...names, ...overwritten].map(name => [name, 'claimed']);
  const headers = { ...Object.fromEntries(claims), 'X-Of-The-Product': 'kept' };
  const { status, body } = await ask(stack, 'api', '/api/v1/whoami', { headers });
  assert.is(status, 200);
  assert.not.match(body, 'claimed');
  const seen = JSON.parse(body).headers;
  assert.is(seen['x-of-the-product'], 'kept');
  assert.is(seen['x-forwarded-host'], hostOf(stack, 'api'));
  // Socket.IO has a list of its own; a header that Connection names is still Nginx' word.
  await withUpstreams(stack, { backend: serverLines([puppet]) }, async () => {
    const { body } = await ask(stack, 'api', '/socket.io/', {
      headers: { ...headers, Connection: 'close, X-Forwarded-For, X-Real-IP' },
    });
    assert.not.match(body, 'claimed');
    const seen = JSON.parse(body).headers;
    assert.ok(seen['x-forwarded-for'] && seen['x-real-ip']);
  });
});

test('cookies of 9 KB and an answer with a header of 12 KB pass; what is too large is refused in words', async () => {
  const large = { Cookie: `a=${'x'.repeat(9000)}` };
  assert.is((await ask(stack, 'api', '/api/v1/whoami', { headers: large })).status, 200);
  assert.is((await ask(stack, 'site', '/', { headers: large })).status, 200);
  await withUpstreams(
    stack,
    { backend: serverLines([puppet]), frontend: serverLines([puppet]) },
    async () => {
      for (const path of ['/api/v1/long?long=12000', '/socket.io/?long=12000']) {
        const answer = await get('api', path);
        assert.is(answer.status, 200, path);
        assert.is(answer.headers['x-long']?.length, 12_000);
      }
      const { body } = await ask(stack, 'site', '/', { headers: { ...large, Authorization: 'Bearer x' } });
      const { cookie, authorization } = JSON.parse(body).headers;
      assert.equal([cookie, authorization], [undefined, undefined], 'files are the same for everybody');
    },
  );

  const { domain } = stack;
  const host = { api: `Host: ${hostOf(stack, 'api')}`, site: `Host: ${domain}` };
  const x = (length: number) => 'x'.repeat(length);
  for (const [status, request, ...lines] of [
    [414, `GET /api/v1/${x(9000)}`, host.api],
    [414, `GET /api/v1/${x(20_000)}`, host.api],
    [431, 'GET /api/v1/a', host.api, `Cookie: ${x(15_900)}`],
    [431, 'GET /api/v1/a', host.api, `Cookie: ${x(9000)}`, `Authorization: Bearer ${x(7000)}`],
    [431, 'GET /api/v1/a', host.api, `X-Of-The-Product: ${x(20_000)}`],
    [400, 'GET /api/v1/100%', host.api],
    [400, 'GET /api/v1/%00', host.api],
    [400, 'GET /api/v1/a', host.api, 'Host: other'],
    [501, 'POST /api/v1/orders', host.api, 'Transfer-Encoding: odd'],
  ] as const) {
    const what = `${request.slice(0, 30)} ${lines.join().slice(0, 60)}`;
    const answer = await sendRaw(stack, `${[`${request} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`);
    assert.match(answer, `HTTP/1.1 ${status} `, what);
    assert.match(answer, /\r\nContent-Type: application\/json\r\n/, what);
  }
  for (const [status, path, header] of [
    [431, '/', { Cookie: x(20_000) }],
    [400, '/100%', {}],
  ] as const) {
    const answer = await cloudflare.ask(cloudflare.client(), 'site', path, { headers: header });
    secured(answer, status);
    assert.match(answer.body, 'Delete the cookies of this site');
  }
  assert.is((await get('site', '/errors/refused.html')).status, 404, 'it is the answer to nothing else');
  assert.is((await get('api', '/unread')).status, 404);
});

test.run();
