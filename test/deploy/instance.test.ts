import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { readyUrl } from '../../scripts/lib/deploy/instance.ts';
import { lineFor, readUpstream, serviceOf, withPort } from '../../scripts/lib/nginx/upstreams.ts';

test('readiness is asked for at the port to which Nginx sends requests', () => {
  for (const line of [...readUpstream('backend'), ...readUpstream('frontend')]) {
    const [, server] = /^server (\S+)/.exec(line)!;
    assert.ok(readyUrl(loadConfig('production', {}), serviceOf(line)).startsWith(`http://${server}/`), line);
  }
});

test('the paths and ports of another application are asked, and written into the lists', () => {
  const config = loadConfig('production', {
    HEALTH_PATH: '/health',
    BACKEND_PORT: '8000',
    FRONTEND_PORT: '8080',
  });
  assert.is(readyUrl(config, 'backend-3'), 'http://backend-3:8000/health/ready');
  assert.is(readyUrl(config, 'frontend-2'), 'http://frontend-2:8080/');
  const [backend, frontend] = [readUpstream('backend')[0]!, readUpstream('frontend')[0]!];
  assert.match(withPort(config, lineFor('backend-3', backend)), /^server backend-3:8000 weight=1 /);
  assert.match(withPort(config, `${frontend.replace(';', ' down;')}`), /^server frontend:8080 .* down;$/);
  assert.is(withPort(loadConfig('production', {}), backend), backend);
});

test.run();
