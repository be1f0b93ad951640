/* hooks/post-deploy.sample against a server that stands in for Cloudflare. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { runHook } from '../../scripts/lib/hooks/hooks.ts';
import { captured } from '../support/core/here.ts';
import { hookPlace } from '../support/hooks/hooks.ts';

test('the sample purges Cloudflare’s cache with a token from a file, and fails with the answer', async () => {
  const requests: string[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    response.writeHead(status).end(`{"success":${status === 200}}`);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  try {
    const place = hookPlace();
    const token = place.path('cloudflare-token');
    writeFileSync(token, 'header = "Authorization: Bearer the-token"\n', { mode: 0o600 });
    const sample = readFileSync(join(ROOT, 'hooks/post-deploy.sample'), 'utf8');
    const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}/client/v4`;
    const edited = sample
      .replace('https://api.cloudflare.com/client/v4', api)
      .replace('ZONE_ID', '0123abcd')
      .replace('hooks/cloudflare-token \\', `${token} \\`);
    writeFileSync(place.path('post-deploy'), edited);
    chmodSync(place.path('post-deploy'), 0o755);
    const purge = () => captured(() => runHook(place.config, 'post-deploy', { release: 'v2' }));
    assert.match((await purge()).stderr, /hook post-deploy: done/);
    assert.equal(requests, ['POST /client/v4/zones/0123abcd/purge_cache Bearer the-token']);
    status = 403;
    const { stderr } = await purge();
    assert.match(
      stderr,
      /warning: the hook post-deploy exited with 1\n[\s\S]*has not purged its cache: .*false/,
    );
    place.config.environment = 'staging';
    requests.length = 0;
    await purge();
    assert.equal(requests, []);
  } finally {
    server.close();
  }
});

test.run();
