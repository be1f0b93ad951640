import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Database, withBackends } from '../support/app.ts';
import { startBalancer } from '../support/balancer.ts';
import { send, startLoad } from '../support/load.ts';
import { startSocketClient } from '../support/sockets.ts';
import { until } from '../support/world.ts';

const instances = ['backend-1', 'backend-2'].map(INSTANCE_ID => ({
  INSTANCE_ID,
  SHUTDOWN_LINGER_MS: '3000',
}));

/** Sends half of an upload, then the rest after `ms`. @returns the status */
async function slowUpload(url: string, ms: number): Promise<number> {
  const upload = request(`${url}/uploads`, { method: 'POST', headers: { 'Content-Length': 2_000_000 } });
  const answer = once(upload, 'response');
  upload.write(Buffer.alloc(1_000_000));
  await sleep(ms);
  upload.end(Buffer.alloc(1_000_000));
  const [response] = await answer;
  response.resume();
  return response.statusCode;
}

test('SIGTERM under load: not ready, still serving, nothing lost, exit 0', () =>
  withBackends(instances, async ([leaving, staying], { database: { sql } }) => {
    assert.ok(leaving && staying);
    const balancer = await startBalancer([leaving, staying]);
    const load = startLoad(`http://127.0.0.1:${balancer.port}/api/v1`, 32);
    try {
      // Longer than the instance goes on accepting, so that they are answered after it has stopped.
      const slow = send('GET', `${leaving.url}/slow?ms=4500`);
      const upload = slowUpload(leaving.url, 4_500);
      const jobs = Array.from({ length: 10 }, () =>
        send('POST', `${staying.url}/jobs`, { body: '{"ms":4500}' }),
      );
      await Promise.all(jobs);
      await sleep(500);
      const before = load.answered();
      assert.ok(before > 0);

      leaving.process.kill('SIGTERM');
      await leaving.line(/"message":"leaving"/);
      const ready = await send('GET', `${leaving.url}/health/ready`);
      assert.is(ready.status, 503);
      assert.is(JSON.parse(ready.body).status, 'leaving');
      assert.is(ready.headers.connection, 'close');
      assert.is((await send('GET', `${leaving.url}/health`)).status, 200);
      const late = await send('GET', `${leaving.url}/articles`);
      assert.is(late.status, 200);
      assert.is(late.headers.connection, 'close');

      assert.is((await slow).status, 200);
      assert.is((await slow).headers.connection, 'close');
      assert.is(await upload, 201);
      assert.equal(await leaving.exited, { code: 0, signal: null });
      assert.match(leaving.output(), /"message":"stopped"/);

      const after = load.answered();
      await until('the other one goes on alone', () => load.answered() >= after + 500);
      await load.stop();
      assert.equal(load.failures, []);
      const [rows, ids] = (await sql('SELECT count(*), count(DISTINCT id) FROM orders'))
        .split('|')
        .map(Number);
      assert.is(rows, load.orders.size, 'each order that was answered is one row');
      assert.is(ids, rows);
      assert.is(await sql('SELECT count(DISTINCT instance) FROM orders'), '2', 'both took part');

      assert.is(await jobsDone(sql, 10), '10|10', 'each job ran once');
      assert.match(await sql("SELECT count(*) FROM job_runs WHERE instance = 'backend-1'"), /^[1-9]/);
    } finally {
      await load.stop();
      await balancer.stop();
    }
  }));

/** Waits for so many runs. @returns how many runs and how many jobs there are */
async function jobsDone(sql: Database['sql'], count: number): Promise<string> {
  const runs = async () => Number(await sql('SELECT count(*) FROM job_runs'));
  await until('all jobs have run', async () => (await runs()) >= count);
  return sql('SELECT count(*), count(DISTINCT job_id) FROM job_runs');
}

test('Socket.IO over two instances: each event reaches each client, and one instance leaving loses none', () =>
  withBackends(instances, async ([leaving, staying]) => {
    assert.ok(leaving && staying);
    const balancer = await startBalancer([leaving, staying]);
    const url = `http://127.0.0.1:${balancer.port}`;
    const clients = Array.from({ length: 20 }, () => startSocketClient(url));
    let publishing = true;
    try {
      const echoes = await Promise.all(
        clients.map(({ socket }) => socket.emitWithAck('echo', { text: 'é' })),
      );
      assert.equal(echoes[0].value, { text: 'é' });
      assert.equal([...new Set(echoes.map(({ instance }) => instance))].sort(), ['backend-1', 'backend-2']);

      const twice = { id: randomUUID(), text: 'sent again, because the acknowledgement was lost' };
      const [first, second] = [clients[0]!.socket, clients[1]!.socket];
      assert.equal(await first.emitWithAck('publish', twice), { number: 1 });
      assert.equal(await second.emitWithAck('publish', twice), { number: 1 });
      const numbers = [1];
      const publishers = clients.slice(0, 4).map(async client => {
        while (publishing) {
          numbers.push(await client.publish('news'));
          await sleep(10);
        }
      });
      // Nothing is asked for again yet: what the other instance published came through Redis.
      await until('50 events reach everybody', () => clients.every(({ seen }) => seen.size >= 50));

      leaving.process.kill('SIGTERM');
      assert.equal(await leaving.exited, { code: 0, signal: null });
      await until('all are connected again', () => clients.every(({ socket }) => socket.connected));
      const before = numbers.length;
      await until('50 more are published', () => numbers.length >= before + 50);
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
  }));

test('a shutdown that takes too long says so and fails', () =>
  withBackends([{ SHUTDOWN_LINGER_MS: '0', SHUTDOWN_TIMEOUT_MS: '500' }], async ([backend]) => {
    assert.ok(backend);
    const cut = send('GET', `${backend.url}/slow?ms=60000`).catch(error => error.code);
    await sleep(200);
    assert.equal(await backend.stop(), { code: 1, signal: null });
    assert.match(backend.output(), /"shutdown took too long","inFlight":1/);
    assert.is(await cut, 'ECONNRESET');
  }));

test.run();
