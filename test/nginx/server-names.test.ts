import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { parseSite } from '../../scripts/lib/nginx/server-names.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

test('names come from the server_name lines of the configuration', () => {
  assert.equal(parseSite(read('nginx/production.conf')), {
    api: 'api.neurmatic.com',
    frontend: 'neurmatic.com',
    names: ['www.neurmatic.com', 'neurmatic.com', 'api.neurmatic.com'],
  });
  assert.is(parseSite(read('nginx/staging.conf')).api, 'api.staging.neurmatic.com');
  const api = `server {
    listen 443 ssl; # server_name wrong.example;
    server_name
      api.example  other.example;
    include site/snippets/api.conf;
  }`;
  assert.throws(() => parseSite(api), /frontend\.conf/);
  const both = `${api} server { listen 443 ssl; server_name example; include site/snippets/frontend.conf; }`;
  assert.equal(parseSite(both).names, ['api.example', 'other.example', 'example']);
});

test.run();
