import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Backend, startAppWorld } from '../support/app/app.ts';
import { startBalancer } from '../support/app/balancer.ts';
import { leaveUnderLoad } from '../support/app/leaving.ts';
import { send } from '../support/app/load.ts';
import { startSocketClient } from '../support/app/sockets.ts';
import { until } from '../support/core/world.ts';

const world = await startAppWorld();

const LEAVING = { INSTANCE_ID: 'backend-1', SHUTDOWN_LINGER_MS: '1000' };

/** Stays in both tests, in which another leaves that is new. */
const [staying, first] = (await world.start({ INSTANCE_ID: 'backend-2' }, LEAVING)) as [Backend, Backend];

// With a crowd that never pauses: test/long/integration/app-leaving.test.ts.
test('SIGTERM under load: not ready, still serving, nothing lost, exit 0', () =>
  leaveUnderLoad(first, staying, world.database, { clients: 4, pause: 100, lasting: 4000 }));

test('Socket.IO over two instances: each event reaches each client, and one instance leaving loses none', async () => {
  const [leaving] = (await world.start(LEAVING)) as [Backend];
  const balancer = await startBalancer([leaving, staying]);
  const url = `http://127.0.0.1:${balancer.port}`;
  const clients = Array.from({ length: 8 }, () => startSocketClient(url));
  let publishing = true;
  try {
    const echoes = await Promise.all(clients.map(({ socket }) => socket.emitWithAck('echo', { text: 'é' })));
    assert.equal(echoes[0].value, { text: 'é' });
    assert.equal([...new Set(echoes.map(({ instance }) => instance))].sort(), ['backend-1', 'backend-2']);

    const twice = { id: randomUUID(), text: 'sent again, because the acknowledgement was lost' };
    const [first, second] = [clients[0]!.socket, clients[1]!.socket];
    assert.equal(await first.emitWithAck('publish', twice), { number: 1 });
    assert.equal(await second.emitWithAck('publish', twice), { number: 1 });
    const numbers = [1];
    const publishers = clients.slice(0, 3).map(async client => {
      while (publishing) {
        numbers.push(await client.publish('news'));
        await sleep(10);
      }
    });
    // Nothing is asked for again yet: what the other instance published came through Redis.
    const firsts = Array.from({ length: 20 }, (_, i) => i + 1);
    await until('the first 20 events reach everybody', () =>
      clients.every(({ seen }) => firsts.every(number => seen.has(number))),
    );

    leaving.process.kill('SIGTERM');
    assert.equal(await leaving.exited, { code: 0, signal: null });
    await until('all are connected again', () => clients.every(({ socket }) => socket.connected));
    const before = numbers.length;
    await until('20 more are published', () => numbers.length >= before + 20);
    publishing = false;
    await Promise.all(publishers);
    await Promise.all(clients.map(client => client.catchUp()));

    const all = numbers.toSorted((a, b) => a - b);
    assert.equal(
      all,
      all.map((_, i) => i + 1),
      'each event that was published has one number, without a gap',
    );
    for (const client of clients)
      assert.equal(
        [...client.seen].sort((a, b) => a - b),
        all,
      );
    const where = await Promise.all(clients.map(({ socket }) => socket.emitWithAck('echo', 1)));
    assert.ok(where.every(({ instance }) => instance === 'backend-2'));
  } finally {
    publishing = false;
    for (const { socket } of clients) socket.disconnect();
    await balancer.stop();
  }
});

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
