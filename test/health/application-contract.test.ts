/* What of the application contract is said of an image and of an instance: it must be said before a deployment meets it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import {
  backendRemarks,
  frontendRemarks,
  instanceRemarks,
} from '../../scripts/lib/health/application-contract.ts';
import type { Remark } from '../../scripts/lib/health/check.ts';
import type { Answer } from '../../scripts/lib/health/http.ts';

const config = loadConfig('production', {});
const NODE = { User: 'node', ExposedPorts: { '3000/tcp': {} }, Cmd: ['node', 'src/main.ts'] };
const backend = (image: object) => backendRemarks(config, { ...NODE, ...image });
const texts = (remarks: Remark[]) => remarks.map(([status, text]) => `${status}: ${text}`);

test('an image that keeps the contract', () => {
  assert.equal(backend({}), []);
  assert.equal(backend({ ExposedPorts: null, StopSignal: 'SIGQUIT', User: '1001:1001' }), []);
  assert.equal(frontendRemarks(config, { ExposedPorts: { '80/tcp': {} } }), []);
  assert.equal(frontendRemarks(config, {}), []);
});

test('a user that is root, under each of its names', () => {
  for (const User of [undefined, '', 'root', '0', '0:0', 'root:root'])
    assert.equal(texts(backend({ User })), ['warning: the backend runs as root'], String(User));
  const other = loadConfig('production', { BACKEND_USER: '1001' });
  assert.equal(backendRemarks(other, { ...NODE, User: 'root' }), []);
});

test('a command that may keep the stop signal from the application', () => {
  const shells = [
    { Cmd: ['/bin/sh', '-c', 'node src/main.js'] },
    { Entrypoint: ['/bin/bash', '-c'], Cmd: ['npm run migrate && npm start'] },
    { Cmd: ['npm', 'start'] },
    { Entrypoint: ['/usr/local/bin/yarn'], Cmd: ['start'] },
    { Entrypoint: ['sh', '-c', 'node src/main.js'], Cmd: null },
  ];
  for (const each of shells)
    assert.match(texts(backend(each)).join(), /starts by a shell: it may get no SIGTERM/);
  const direct = [
    { Cmd: ['/bin/sh', '-c', 'exec node src/main.js'] },
    { Cmd: ['sh', '-c', 'cd dist && exec node main.js'] },
    { Entrypoint: ['docker-entrypoint.sh'], Cmd: ['node', 'dist/main.js'] },
    { Cmd: ['sh', 'start.sh'] },
  ];
  for (const each of direct) assert.equal(backend(each), [], JSON.stringify(each));
  assert.match(
    texts(backend({ StopSignal: 'SIGKILL' })).join(),
    /stopped by SIGKILL, which loses its requests/,
  );
});

test('ports', () => {
  assert.equal(texts(backend({ ExposedPorts: { '5000/tcp': {}, '9/udp': {} } })), [
    'ok: the backend exposes 5000; it must heed PORT=3000',
  ]);
  assert.equal(texts(frontendRemarks(config, { ExposedPorts: { '8080/tcp': {} } })), [
    'warning: the frontend exposes 8080, and FRONTEND_PORT is 80',
  ]);
  const other = loadConfig('production', { FRONTEND_PORT: '8080' });
  assert.equal(frontendRemarks(other, { ExposedPorts: { '8080/tcp': {} } }), []);
});

const answer = (status: number, body = '{}'): Answer => ({ status, body, headers: {}, ms: 1 });
const KEEPS = {
  health: answer(200, '{"version":"1.0.0"}'),
  ready: answer(503),
  metrics: answer(200, 'a 1\nhttp_requests_in_flight 0\n'),
};
const instance = (answers: object, values = {}) =>
  texts(instanceRemarks(loadConfig('production', values), { ...KEEPS, ...answers }));

test('an instance that tells less than the contract asks for is made do with', () => {
  assert.equal(instance({}), []);
  const plain = 'ok: /api/v1/health has no version: images are compared instead';
  for (const body of ['{"status":"ok"}', 'OK', '<html>', 'null'])
    assert.equal(instance({ health: answer(200, body) }), [plain]);
  const uncounted = 'ok: /api/v1/metrics has no http_requests_in_flight: drained by Nginx’s connections';
  for (const metrics of [answer(401), answer(403), answer(200, 'http_requests_total 1')])
    assert.equal(instance({ metrics }), [uncounted]);
  assert.equal(instance({ metrics: undefined }, { METRICS_PATH: 'none' }), [
    'ok: METRICS_PATH is none: drained by Nginx’s connections',
  ]);
});

test('a path that the application does not have names its variable', () => {
  const values = { HEALTH_PATH: '/healthz', METRICS_PATH: '/prometheus' };
  assert.equal(instance({ health: answer(404), ready: answer(404), metrics: answer(404) }, values), [
    'warning: /healthz answers 404: is HEALTH_PATH right?',
    'warning: /healthz/ready answers 404: is READY_PATH right?',
    'warning: /prometheus answers 404: is METRICS_PATH right?',
  ]);
});

test.run();
