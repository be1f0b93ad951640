import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { ask, askPlain, dial, hostOf, sendRaw } from './lib/http.ts';
import { reload } from './lib/puppet.ts';
import { startStack } from './lib/stack.ts';

const stack = await startStack();
const cloudflare = await cloudflareBefore(stack);

let clients = 0;
const get = (part: 'api' | 'www' | 'site', path: string) =>
  cloudflare.ask(`198.51.100.${++clients}`, part, path);

test('an unknown host is refused in the handshake, and gets no certificate and no answer', async () => {
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

test('a body larger than its route accepts is 413, before it has arrived', async () => {
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

test('nothing but a WebSocket is an upgrade: a request for h2c is answered without it', async () => {
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

test('a body whose length can be read in two ways is refused', async () => {
  for (const [lines, status] of [
    [['Content-Length: 4', 'Transfer-Encoding: chunked'], 400],
    [['Content-Length: 4', 'Content-Length: 5'], 400],
    [['Content-Length: 4, 4'], 400],
    [['Content-Length: +4'], 400],
    [['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], 400],
    [['Transfer-Encoding: xchunked'], 501],
    [['Transfer-Encoding: chunked, identity'], 501],
    [['Transfer-Encoding : chunked'], 400],
    [['Transfer-Encoding\t: chunked'], 400],
  ] as [string[], number][]) {
    const head = ['POST /api/v1/orders HTTP/1.1', `Host: ${hostOf(stack, 'api')}`, ...lines, '\r\n'];
    const answer = await sendRaw(stack, `${head.join('\r\n')}0\r\n\r\n`);
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), lines.join(', '));
  }
});

/** Prints what becomes of a connection to Nginx, by port. */
const DIAL = `
  const { connect } = require('node:net');
  const dial = port => new Promise(resolve => {
    const socket = connect(port, 'nginx');
    socket.once('connect', () => resolve([port, 'open']) || socket.destroy());
    socket.once('error', error => resolve([port, error.code]));
  });
  Promise.all([80, 8080].map(dial)).then(all => console.log(JSON.stringify(Object.fromEntries(all))));
`;

test('metrics and the health of Nginx are not public', async () => {
  for (const path of ['/api/v1/metrics', '/api/v1/METRICS', '/api/v1/metrics/', '/health', '/status']) {
    assert.is((await get('api', path)).status, 404, path);
  }
  const inside = await stack.exec('nginx', 'curl', '-fsS', 'http://127.0.0.1:8080/health');
  assert.is(inside.stdout, 'ok\n');
  // Not even for the other containers: of the same host, one port takes connections and the other refuses them.
  const dialled = await stack.exec('backend-1', 'node', '-e', DIAL);
  assert.equal(JSON.parse(dialled.stdout), { 80: 'open', 8080: 'ECONNREFUSED' });
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

test('the next reload loads a configuration that git replaced; nginx -t gives no other warning', async () => {
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
  assert.is((await askPlain(stack, stack.domain, '/')).status, 301, 'the file of before is loaded again');
  const { code, stderr } = await stack.exec('nginx', 'nginx', '-t');
  assert.is(code, 0);
  const warnings = stderr.split('\n').filter(line => /\[\w+\]/.test(line));
  assert.is.not(warnings.length, 0);
  // Let's Encrypt has no OCSP responder, and the bootstrap certificate no issuer: nginx/snippets/certificate.conf.
  assert.equal(
    warnings.filter(line => !/\[warn\] .*"ssl_stapling" ignored/.test(line)),
    [],
  );
});

test.run();
