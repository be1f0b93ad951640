import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { type Answer, ask, askPlain, dial, hostOf, json, sendRaw } from './lib/http.ts';
import { backendsAre, reload, startPuppet, upstreamIs } from './lib/puppet.ts';
import { startStack } from './lib/stack.ts';

const stack = await startStack();
const cloudflare = await cloudflareBefore(stack);
const puppet = await startPuppet(stack);

let clients = 0;
const get = (part: 'api' | 'www' | 'site', path: string) =>
  cloudflare.ask(`198.51.100.${++clients}`, part, path);

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

/** Every header once, whoever the answer is from. */
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

test('every security header is there once on 200, 404, 413, 429, 502 and 503, of API and frontend', async () => {
  for (const path of ['/api/v1/articles', '/api/v1/whoami', '/api/v1/health'])
    secured(await get('api', path), 200);
  for (const path of ['/api/v1/none', '/none', '/api/v1/metrics']) secured(await get('api', path), 404);
  for (const path of ['/', '/assets/style-5ea6db4e.css', '/version.json'])
    secured(await get('site', path), 200);
  secured(await get('site', '/assets/none.js'), 404);
  secured(await get('www', '/'), 301);

  const login = json({ email: 'a@example.com', password: 'not the password' });
  const tries: Answer[] = [];
  for (let i = 0; i < 6; i++)
    tries.push(await cloudflare.ask('203.0.113.1', 'api', '/api/v1/auth/login', login));
  secured(tries[5]!, 429);
  assert.is(tries[5]!.headers['retry-after'], '20');

  await backendsAre(stack, ['nobody']);
  const frontend = await upstreamIs(stack, 'frontend', 'server 127.0.0.1:9 max_fails=0;\n');
  try {
    const failed = await get('api', '/api/v1/whoami');
    secured(failed, 502);
    assert.equal(JSON.parse(failed.body), { status: 502, error: 'temporarily unavailable' });
    const page = await get('site', '/');
    secured(page, 502);
    assert.is(page.headers['cache-control'], 'no-store');
  } finally {
    await upstreamIs(stack, 'frontend', frontend);
    await backendsAre(stack, ['backend-1', 'backend-2']);
  }
});

test('what an upstream says of security does not come through, and the API may run nothing', async () => {
  await backendsAre(stack, [puppet]);
  try {
    const own = [...Object.keys(HEADERS), 'x-powered-by', 'x-xss-protection'];
    const query = own.map(name => `header=${name}:weak`).join('&');
    for (const status of [200, 404, 500]) {
      const answer = await get('api', `/api/v1/weak?status=${status}&${query}`);
      secured(answer, status);
      assert.is(answer.headers['content-security-policy'], STRICT);
    }
  } finally {
    await backendsAre(stack, ['backend-1', 'backend-2']);
  }
  const policy = (await get('site', '/')).headers['content-security-policy'];
  assert.match(`${policy}`, `connect-src 'self' https://api.${stack.domain} wss://api.${stack.domain} `);
  assert.not.match(`${policy}`, /unsafe|http:|\*;/);
});

test('an unknown host is refused in the handshake, shown no certificate, and answered nothing', async () => {
  for (const servername of ['unknown.example', `www.api.${stack.domain}`, '']) {
    let refusal = '';
    await dial(stack, servername, { rejectUnauthorized: false }).then(
      socket => socket.destroy(),
      error => {
        refusal = error.code;
      },
    );
    assert.is(refusal, 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME', servername);
  }
  // A known name in the handshake and another in the request.
  const { status } = await ask(stack, 'api', '/', { headers: { Host: 'unknown.example' } });
  assert.is(status, 421);
  let reset = '';
  await askPlain(stack, 'unknown.example', '/').catch(error => {
    reset = error.code;
  });
  assert.is(reset, 'ECONNRESET');
});

test('plain HTTP: to HTTPS by name, but for proofs to the certificate authority', async () => {
  for (const host of [stack.domain, `www.${stack.domain}`, `api.${stack.domain}`]) {
    const { status, headers } = await askPlain(stack, host, '/path?query=1');
    assert.is(status, 301);
    assert.is(headers.location, `https://${host}/path?query=1`);
  }
  assert.is((await get('www', '/path?query=1')).headers.location, `https://${stack.domain}/path?query=1`);

  const volume = `${stack.app}-${stack.environment}_acme:/acme`;
  const write =
    'mkdir -p /acme/.well-known/acme-challenge && echo -n proof > /acme/.well-known/acme-challenge/token';
  const image = stack.variables.BACKEND_IMAGE!;
  await stack.docker('run', '--rm', '--user', '0', '--volume', volume, image, 'sh', '-c', write);
  const { status, body } = await askPlain(stack, stack.domain, '/.well-known/acme-challenge/token');
  assert.is(status, 200);
  assert.is(body, 'proof');
});

test('a body larger than its route takes is 413, before it has come', async () => {
  const upload = Buffer.alloc(20 * 1024 * 1024, 'x');
  const taken = await cloudflare.ask('203.0.113.20', 'api', '/api/v1/uploads', {
    method: 'POST',
    body: upload,
  });
  assert.is(taken.status, 201);
  assert.is(JSON.parse(taken.body).bytes, upload.length);

  for (const [path, bytes] of [
    ['/api/v1/orders', 1024 * 1024 + 1],
    ['/api/v1/auth/login', 16 * 1024 + 1],
    ['/api/v1/uploads', 50 * 1024 * 1024 + 1],
  ] as const) {
    const head = `POST ${path} HTTP/1.1\r\nHost: ${hostOf(stack, 'api')}\r\nContent-Length: ${bytes}\r\n\r\n`;
    assert.match(await sendRaw(stack, head), /^HTTP\/1.1 413 /, path);
  }
  const { status, body } = await cloudflare.ask('203.0.113.21', 'api', '/api/v1/orders', {
    method: 'POST',
    body: Buffer.alloc(2 * 1024 * 1024),
  });
  assert.is(status, 413);
  assert.equal(JSON.parse(body), { status: 413, error: 'request body too large' });
});

test('nothing but a WebSocket is an upgrade: h2c is answered as if it had not been asked for', async () => {
  for (const path of ['/api/v1/whoami', '/socket.io/?EIO=4&transport=polling']) {
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: ${hostOf(stack, 'api')}`,
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
      '\r\n',
    ];
    assert.match(await sendRaw(stack, lines.join('\r\n')), /^HTTP\/1.1 200 /, path);
  }
  const { body } = await ask(stack, 'api', '/api/v1/whoami', {
    headers: { Connection: 'Upgrade', Upgrade: 'websocket' },
  });
  assert.not(JSON.parse(body).headers.upgrade, 'and no upgrade at all outside /socket.io/');
});

test('metrics and the health of Nginx are not for the world', async () => {
  for (const path of ['/api/v1/metrics', '/api/v1/METRICS', '/api/v1/metrics/', '/health', '/status']) {
    assert.is((await get('api', path)).status, 404, path);
  }
  const inside = await stack.exec('nginx', 'curl', '-fsS', 'http://127.0.0.1:8080/health');
  assert.is(inside.stdout, 'ok\n');
  const reached = await stack.exec(
    'backend-1',
    'node',
    '-e',
    "fetch('http://nginx:8080/health').then(() => process.exit(1), () => {})",
  );
  assert.is(reached.code, 0, 'not even for the other containers');
});

test('maintenance begins and ends with a file, without a reload', async () => {
  const flag = join(stack.directory, 'nginx/maintenance/on');
  writeFileSync(flag, '');
  try {
    const page = await get('site', '/any/path');
    secured(page, 503);
    assert.match(page.body, 'Back in a moment');
    assert.is(page.headers['retry-after'], '120');
    const api = await get('api', '/api/v1/articles');
    secured(api, 503);
    assert.equal(JSON.parse(api.body), { status: 503, error: 'down for maintenance' });
  } finally {
    rmSync(flag);
  }
  assert.is((await get('site', '/')).status, 200);
});

test('the access log: one JSON object a request, of which no query is part', async () => {
  const secret = 'a-secret-in-a-query';
  await cloudflare.ask('203.0.113.30', 'api', `/api/v1/whoami?token=${secret}`, {
    headers: {
      Referer: `https://${stack.domain}/reset?token=${secret}#${secret}`,
      'User-Agent': '"quoted" \\ back',
    },
  });
  // Written when 32 KB have come together or after five seconds.
  let entry: Record<string, unknown> | undefined;
  let log = '';
  for (let tries = 0; !entry && tries < 100; tries++, await sleep(200)) {
    log = await stack.docker('logs', stack.container('nginx'));
    const entries = log
      .split('\n')
      .filter(line => line.startsWith('{'))
      .map(line => JSON.parse(line));
    entry = entries.find(({ client, path }) => client === '203.0.113.30' && path === '/api/v1/whoami');
  }
  assert.not.match(log, secret);
  const { method, host, status, referer, agent, tls, upstream_status } = entry!;
  assert.equal(
    { method, host, status, referer, agent, tls, upstream_status },
    {
      method: 'GET',
      host: `api.${stack.domain}`,
      status: 200,
      referer: `https://${stack.domain}/reset`,
      agent: '"quoted" \\ back',
      tls: 'TLSv1.3',
      upstream_status: '200',
    },
  );
});

test('workers may open as many files as they have connections, twice', async () => {
  const { stdout } = await stack.exec('nginx', 'sh', '-c', 'grep -h "open files" /proc/[0-9]*/limits');
  for (const line of stdout.trim().split('\n')) assert.match(line, /open files +8192 +8192/);
  const { stdout: text } = await stack.exec('nginx', 'nginx', '-T');
  assert.match(text, 'worker_connections 4096;');
});

test('a configuration that git replaces is what the next reload loads; nginx -t warns of nothing else', async () => {
  const file = join(stack.directory, 'nginx/snippets/acme.conf');
  const text = 'location / {\n    return 418;\n}\n';
  renameSync(file, `${file}.before`);
  try {
    writeFileSync(file, text);
    await reload(stack);
    assert.is((await askPlain(stack, stack.domain, '/')).status, 418);
  } finally {
    rmSync(file);
    renameSync(`${file}.before`, file);
    await reload(stack);
  }
  const { code, stderr } = await stack.exec('nginx', 'nginx', '-t');
  assert.is(code, 0);
  const warnings = stderr.split('\n').filter(line => /\[\w+\]/.test(line));
  // Let's Encrypt has no OCSP responder, and the bootstrap certificate no issuer: nginx/snippets/certificate.conf.
  assert.equal(
    warnings.filter(line => !/\[warn\] .*"ssl_stapling" ignored/.test(line)),
    [],
  );
  assert.not(existsSync(`${file}.before`));
});

test.run();
