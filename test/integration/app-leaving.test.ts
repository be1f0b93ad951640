import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Backend, startAppWorld } from '../support/app/app.ts';
import { leaveUnderLoad } from '../support/app/leaving.ts';
import { send } from '../support/app/load.ts';
import { until } from '../support/core/world.ts';

const world = await startAppWorld();

const LEAVING = { INSTANCE_ID: 'backend-1', SHUTDOWN_LINGER_MS: '1000' };

const [staying, first] = (await world.start({ INSTANCE_ID: 'backend-2' }, LEAVING)) as [Backend, Backend];

// With a crowd that never pauses, and with Socket.IO, which test/stack/sockets.test.ts has, too: test/long/integration/app-leaving.test.ts.
test('SIGTERM under load: not ready, still serving, nothing lost, exit 0', () =>
  leaveUnderLoad(first, staying, world.database, { clients: 4, pause: 100, lasting: 4000 }));

test('a shutdown that takes too long says so and fails', async () => {
  const own = { SHUTDOWN_LINGER_MS: '0', SHUTDOWN_TIMEOUT_MS: '500' };
  const [backend] = (await world.start(own)) as [Backend];
  const cut = send('GET', `${backend.url}/slow?ms=60000`).catch(error => error.code);
  await until('it is in flight', async () =>
    /^http_requests_in_flight 1$/m.test((await send('GET', `${backend.url}/metrics`)).body),
  );
  assert.equal(await backend.stop(), { code: 1, signal: null });
  assert.match(backend.output(), /"shutdown took too long","inFlight":1/);
  assert.is(await cut, 'ECONNRESET');
});

test('the servers stop', world.stop);

test.run();
