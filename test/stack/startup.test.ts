/**
 * However a stack starts, visitors who are there are not told 502 for longer than a second after the first backend is
 * ready. `test/long/stack/startup.test.ts` does it in more orders, many times.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import {
  assertPrompt,
  BACKENDS,
  createStack,
  errorsOf,
  killAll,
  networkOf,
  onlookersOf,
  SERVICES,
  startElsewhere,
  startInOrder,
} from './lib/startup.ts';

const stack = await createStack();
const watched = await onlookersOf(stack);
const up = () => stack.compose('up', '--detach', '--wait', '--wait-timeout', '180', '--no-recreate');

test('`up --wait` returns when Nginx passes requests on', async () => {
  const start = await watched({ start: up });
  assertPrompt(start, 'up');
  assert.ok(start.before.length > 0, 'visitors were there before');
  assert.equal(start.failedAfter, []);
});

test('a restart of Nginx', async () => {
  assertPrompt(await watched({ start: () => stack.docker('restart', stack.container('nginx')) }), 'nginx');
});

test('an instance that comes back at another address', async () => {
  assertPrompt(await watched({ start: () => startElsewhere(stack, 'backend-1') }), 'instance');
});

test('a start after all was killed: Nginx first, the stores last', async () => {
  const order = [['nginx', 'frontend'], BACKENDS.toReversed(), ['redis', 'postgres']];
  const start = await watched({ stop: () => killAll(stack), start: () => startInOrder(stack, order) });
  assertPrompt(start, 'Nginx first');
  assert.ok(
    start.before.some(({ status }) => status === 502),
    'visitors were there, and nobody for them',
  );
});

test('a start after all was killed: all at once', async () => {
  const start = await watched({ stop: () => killAll(stack), start: () => startInOrder(stack, [SERVICES]) });
  assertPrompt(start, 'all at once');
});

/** Ready a moment after its start, which no Node application of any size is. */
const QUICK = "require('node:http').createServer((_, response) => response.end('{}')).listen(3000)";

/** @returns the exit code of Nginx's health check */
async function checkHealth(): Promise<number> {
  const format = '{{index .Config.Healthcheck.Test 1}}';
  const command = await stack.docker('inspect', '--format', format, stack.container('nginx'));
  return (await stack.exec('nginx', 'sh', '-c', command)).code;
}

test('a backend that is ready at once, long after Nginx', async () => {
  const quick = `${stack.app}-quick`;
  stack.atExit(['rm', '--force', quick]);
  let since = new Date();
  const start = await watched({
    backends: ['backend-1'],
    stop: async () => {
      await killAll(stack, [...BACKENDS, 'nginx']);
      since = new Date();
      await startInOrder(stack, [['nginx']]);
      await until('Nginx has found nobody', async () =>
        /backend-1 could not be resolved/.test(await errorsOf(stack, since)),
      );
      assert.is.not(await checkHealth(), 0, 'Nginx has not started');
    },
    start: () => {
      const run = ['run', '--detach', '--rm', '--init', '--name', quick, '--network', networkOf(stack)];
      const alias = ['--network-alias', 'backend-1', stack.variables.BACKEND_IMAGE!];
      return stack.docker(...run, ...alias, 'node', '-e', QUICK);
    },
  });
  assertPrompt(start, 'ready at once');
  // Without a backend Nginx serves what needs none.
  const early = start.before.map(({ what, status }) => `${what} ${status}`);
  for (const answer of ['GET 502', 'socket 502', 'site 200']) assert.ok(early.includes(answer), answer);
  assert.match(await errorsOf(stack, since), 'Nginx looks its upstreams up');

  // After its start, Nginx stays healthy when an instance is unhealthy.
  assert.is(await checkHealth(), 0);
  await stack.docker('rm', '--force', quick);
  const reach = ['curl', '-fsS', 'http://127.0.0.1:8080/reach/backend'];
  await until('Nginx reaches nobody', async () => (await stack.exec('nginx', ...reach)).code !== 0);
  assert.is(await checkHealth(), 0);
});

test.run();
