import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { visitsOf } from '../../scripts/lib/nginx/access-log.ts';
import { clientOf } from '../../scripts/lib/nginx/client.ts';

const LINE = {
  time: '2026-01-31T02:00:07+00:00',
  client: '198.51.100.7',
  method: 'GET',
  path: '/api/v1/articles/7',
  status: 200,
  agent: 'a browser',
  upstream: '172.18.0.5:3000',
  upstream_status: '200',
  upstream_seconds: '0.250',
};
const VISIT = {
  address: '172.18.0.5',
  time: Date.parse(LINE.time) / 1000,
  client: '198.51.100.7',
  path: 'GET /api/v1/articles/7',
  status: 200,
  seconds: 0.25,
};
const read = (changes: Partial<typeof LINE>) => visitsOf(JSON.stringify({ ...LINE, ...changes }));

test('a line of the log is a visit to each instance that was tried', () => {
  assert.equal(read({}), [VISIT]);
  const second = { ...VISIT, address: '172.18.0.6', status: 201, seconds: 0.004 };
  for (const between of [', ', ' : ']) {
    const [upstream, upstream_status, upstream_seconds] = [
      ['172.18.0.5:3000', '172.18.0.6:3000'],
      ['502', '201'],
      ['2.001', '0.004'],
    ].map(list => list.join(between));
    assert.equal(
      read({ upstream: upstream!, upstream_status: upstream_status!, upstream_seconds: upstream_seconds! }),
      [{ ...VISIT, status: 502, seconds: 2.001 }, second],
    );
  }
});

test('what no instance has answered is no visit', () => {
  assert.equal(
    read({ upstream: '', upstream_status: '', upstream_seconds: '' }),
    [],
    'from the cache, or refused',
  );
  assert.equal(read({ upstream: 'backend', upstream_status: '502', upstream_seconds: '0.000' }), []);
  assert.equal(read({ upstream_status: '-', upstream_seconds: '-' }), [], 'the client left');
  assert.equal(read({ agent: 'canary' }), [], 'it is counted by itself');
  assert.equal(visitsOf('2026/01/31 02:00:07 [error] 29#29: *1 connect() failed'), []);
});

test('a WebSocket has no response time', () => {
  const [visit] = read({ path: '/socket.io/', upstream_status: '101', upstream_seconds: '3600.1' });
  assert.is(visit!.seconds, undefined);
});

test('a client is an IPv4 address or an IPv6 /64, as for the limits', () => {
  assert.is(clientOf('198.51.100.7'), '198.51.100.7');
  for (const address of ['2001:db8:1:2::1', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2:ffff::'])
    assert.is(clientOf(address), '2001:db8:1:2');
  assert.is(clientOf('2001:db8::1'), clientOf('2001:db8::2:0:0:0:1'.replace('2:0:0:0:', '')));
  assert.is.not(clientOf('2001:db8:1:2::1'), clientOf('2001:db8:1:3::1'));
  assert.is(clientOf('::1'), '0:0:0:0');
});

test('Nginx logs what is read', () => {
  const text = readFileSync(join(ROOT, 'nginx/snippets/logging.conf'), 'utf8');
  for (const name of Object.keys(LINE)) assert.match(text, `"${name}":`);
});

test.run();
