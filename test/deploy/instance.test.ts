import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readyUrl } from '../../scripts/lib/deploy/instance.ts';
import { readUpstream, serviceOf } from '../../scripts/lib/nginx/upstreams.ts';

test('readiness is asked for at the port to which Nginx sends requests', () => {
  for (const line of [...readUpstream('backend'), ...readUpstream('frontend')]) {
    const [, server] = /^server (\S+)/.exec(line)!;
    assert.ok(readyUrl(serviceOf(line)).startsWith(`http://${server}/`), line);
  }
});

test.run();
