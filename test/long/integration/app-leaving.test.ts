/* An instance that leaves under a crowd that never pauses; test/integration/app-leaving.test.ts has a small one. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Backend, startAppWorld } from '../../support/app/app.ts';
import { startBalancer } from '../../support/app/balancer.ts';
import { leaveUnderLoad } from '../../support/app/leaving.ts';
import { startSocketClient } from '../../support/app/sockets.ts';
import { until } from '../../support/core/world.ts';

for (const turn of [1, 2, 3])
  test(`SIGTERM under load, ${turn}: not ready, still serving, nothing lost, exit 0`, async () => {
    const world = await startAppWorld();
    try {
      const instances = ['backend-1', 'backend-2'].map(INSTANCE_ID => ({
        INSTANCE_ID,
        SHUTDOWN_LINGER_MS: '3000',
      }));
      const [leaving, staying] = (await world.start(...instances)) as [Backend, Backend];
      await leaveUnderLoad(leaving, staying, world.database, { clients: 32, pause: 0, lasting: 6000 });
    } finally {
      await world.stop();
    }
  });

test('Socket.IO over two instances: each event reaches each client, and one instance leaving loses none', async () => {
  const world = await startAppWorld();
  const [staying, leaving] = (await world.start(
    { INSTANCE_ID: 'backend-2' },
    { INSTANCE_ID: 'backend-1', SHUTDOWN_LINGER_MS: '1000' },
  )) as [Backend, Backend];
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
    await world.stop();
  }
});

test.run();
