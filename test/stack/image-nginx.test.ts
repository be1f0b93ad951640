import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inSandbox, type Sandbox, until } from '../images/sandbox.ts';

const IMAGE = 'nginx:1.30.6-trixie';
const PUBLISH = ['--publish', '127.0.0.1::80'];

/** The body of a page, once it is served. */
function page(url: string): Promise<string> {
  return until(url, () =>
    fetch(url).then(
      response => response.text(),
      () => '',
    ),
  );
}

async function logs(box: Sandbox, container: string): Promise<{ stdout: string; stderr: string }> {
  return box.try('logs', container);
}

test('it serves its own page, logs to the container, and its workers are uid 101', () =>
  inSandbox(IMAGE, async box => {
    const container = await box.start('plain', ...PUBLISH, IMAGE);
    const url = await box.url(container, 80);
    assert.match(await page(url), /<html/);
    assert.is((await fetch(`${url}/missing`)).status, 404);
    assert.equal(await box.users(container, 'worker process'), ['101']);
    assert.equal(await box.users(container, 'master process'), ['0']);
    await until('the log', async () => (await logs(box, container)).stdout.includes('GET /missing'));
    assert.match((await logs(box, container)).stderr, /No such file or directory/);
    await box.docker('exec', container, 'curl', '--fail', '--silent', 'http://127.0.0.1/');
    assert.match((await box.try('exec', container, 'nginx', '-v')).stderr, /nginx\/1\.30\./);
  }));

test('templates get the environment, Nginx keeps its own variables, and scripts run before it', () =>
  inSandbox(IMAGE, async box => {
    const template = box.file(
      'site.conf.template',
      'server { listen 8080; location / { return 200 "$GREETING $uri $SOURCED $NGINX_LOCAL_RESOLVERS"; } }',
    );
    const sourced = box.file('05-source.envsh', 'export SOURCED=sourced', 0o755);
    const script = box.file('30-run.sh', '#!/bin/sh\necho "ran as $(id -u)"', 0o755);
    const container = await box.start(
      'template',
      ...[
        '--publish',
        '127.0.0.1::8080',
        '--env',
        'GREETING=hello',
        '--env',
        'NGINX_ENTRYPOINT_LOCAL_RESOLVERS=1',
      ],
      ...['--volume', `${template}:/etc/nginx/templates/site.conf.template:ro`],
      ...['--volume', `${sourced}:/docker-entrypoint.d/05-source.envsh:ro`],
      ...['--volume', `${script}:/docker-entrypoint.d/30-run.sh:ro`],
      ...['--network', await box.network(), IMAGE],
    );
    const url = await box.url(container, 8080);
    assert.is(await page(`${url}/path`), 'hello /path sourced 127.0.0.11');
    assert.match((await logs(box, container)).stdout, /ran as 0/);
    // Anything but Nginx starts without them.
    assert.is(
      (await box.once('--volume', `${script}:/docker-entrypoint.d/30-run.sh:ro`, IMAGE, 'true')).stdout,
      '',
    );
  }));

test('a stop lets a running request finish; a reload takes a new configuration', () =>
  inSandbox(IMAGE, async box => {
    const size = 3_000_000;
    const slow = 'server { listen 80; root /srv; limit_rate 1m; location = /v { return 200 "one"; } }';
    const config = box.file('default.conf', slow);
    const big = box.file('big', Buffer.alloc(size));
    const mounts = [
      '--volume',
      `${config}:/etc/nginx/conf.d/default.conf:ro`,
      '--volume',
      `${big}:/srv/big:ro`,
    ];
    const container = await box.start('slow', ...PUBLISH, ...mounts, IMAGE);
    const url = await box.url(container, 80);
    assert.is(await page(`${url}/v`), 'one');
    box.file('default.conf', slow.replace('one', 'two'));
    await box.docker('exec', container, 'nginx', '-t');
    await box.docker('exec', container, 'nginx', '-s', 'reload');
    await until('the new configuration', async () => (await page(`${url}/v`)) === 'two');

    const response = await fetch(`${url}/big`);
    const [code, body] = await Promise.all([box.stop(container), response.arrayBuffer()]);
    assert.is(body.byteLength, size);
    assert.is(code, 0);
  }));

test('it runs hardened: read-only, without new privileges, with four capabilities', () =>
  inSandbox(IMAGE, async box => {
    // Larger than its buffers, so that it has to write request bodies and responses to its cache directory.
    const site = `proxy_cache_path /var/cache/nginx/api keys_zone=api:1m;
      server { listen 80; location / {
        client_max_body_size 1m; proxy_cache api; proxy_cache_valid 200 1m; proxy_pass http://127.0.0.1:8081;
        add_header X-Cache $upstream_cache_status; } }
      server { listen 8081; client_max_body_size 1m; root /usr/share/nginx/html; error_page 405 =200 /index.html; }`;
    const config = box.file('default.conf', site);
    const add = ['CHOWN', 'NET_BIND_SERVICE', 'SETGID', 'SETUID'].flatMap(name => ['--cap-add', name]);
    const container = await box.start(
      'hard',
      ...['--read-only', '--tmpfs', '/var/cache/nginx', '--tmpfs', '/run', '--cap-drop', 'ALL', ...add],
      ...['--security-opt', 'no-new-privileges', '--volume', `${config}:/etc/nginx/conf.d/default.conf:ro`],
      ...[...PUBLISH, IMAGE],
    );
    const url = await box.url(container, 80);
    assert.match(await page(url), /<html/);
    assert.is((await fetch(url)).headers.get('x-cache'), 'HIT');
    const posted = await fetch(url, { method: 'POST', body: new Uint8Array(500_000) });
    assert.is(posted.status, 200);
    assert.is(await box.stop(container), 0);
  }));

test.run();
