import { randomUUID } from 'node:crypto';
import { Agent } from 'node:https';
import type { LookupFunction } from 'node:net';
import { io, type Socket } from 'socket.io-client';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { hostOf } from './lib/http.ts';
import { sharedStack } from './lib/shared.ts';

const stack = await sharedStack();
const cloudflare = await cloudflareBefore(stack);

// Names and addresses as they are on this machine: the API's name is the forwarder's address.
const lookup: LookupFunction = (_host, { all }, done) =>
  all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4);

/** A Socket.IO client at an address of its own. */
function open(client: string, transports: string[], upgrade = false): Socket {
  return io(`https://${hostOf(stack, 'api')}:${cloudflare.port}`, {
    transports,
    upgrade,
    forceNew: true,
    reconnection: false,
    agent: new Agent({ lookup, ca: stack.ca }) as never,
    extraHeaders: { 'CF-Connecting-IP': client },
  });
}

async function connected(socket: Socket): Promise<Socket> {
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve).once('connect_error', reject);
  });
  return socket;
}

/** Which instance answers, asked several times: a session must stay where it is. */
async function instanceOf(socket: Socket): Promise<string> {
  const instances = new Set<string>();
  for (let i = 0; i < 5; i++) {
    const answer = await socket.timeout(30_000).emitWithAck('echo', i);
    assert.is(answer.value, i);
    instances.add(answer.instance);
  }
  assert.is(instances.size, 1);
  return [...instances][0]!;
}

for (const [name, transports, upgrade] of [
  ['WebSocket', ['websocket'], false],
  ['polling', ['polling'], false],
  ['polling that upgrades to WebSocket', ['polling', 'websocket'], true],
] as const) {
  test(`${name}: clients are spread over both instances, and an event of one reaches all`, async () => {
    const sockets = Array.from({ length: 16 }, () => open(cloudflare.client(), [...transports], upgrade));
    try {
      await Promise.all(sockets.map(connected));
      const instances = await Promise.all(sockets.map(instanceOf));
      assert.equal([...new Set(instances)].sort(), ['backend-1', 'backend-2']);

      const text = `to all who came by ${name}`;
      const received = sockets.map(
        socket => new Promise<string>(resolve => socket.once('event', event => resolve(event.text))),
      );
      await sockets[0]!.timeout(30_000).emitWithAck('publish', { id: randomUUID(), text });
      assert.equal(
        await Promise.all(received),
        sockets.map(() => text),
      );
      const used = sockets.map(socket => socket.io.engine.transport.name);
      assert.equal([...new Set(used)], [transports.at(-1)]);
    } finally {
      for (const socket of sockets) socket.disconnect();
    }
  });
}

test('a browser that sends cookies stays with its instance when its address changes', async () => {
  const poll = (client: string, query: string, headers = {}) =>
    cloudflare.ask(client, 'api', `/socket.io/?EIO=4&transport=polling${query}`, { headers });
  const first = await poll(cloudflare.client(), '');
  const [cookie = ''] = first.headers['set-cookie'] ?? [];
  assert.match(cookie, /^instance=backend-[12];/);
  for (const part of ['httponly', 'secure', 'samesite=lax', 'path=/socket.io/']) assert.match(cookie, part);
  const { sid } = JSON.parse(first.body.slice(1));
  const headers = { Cookie: cookie.split(';')[0]! };
  for (let i = 2; i < 12; i++) {
    // 40: the client joins the default namespace; the answer to the poll after it says that it has.
    const { status, body } = await cloudflare.ask(
      cloudflare.client(),
      'api',
      `/socket.io/?EIO=4&transport=polling&sid=${sid}`,
      {
        method: 'POST',
        headers: { ...headers, 'Content-Type': 'text/plain' },
        body: i === 2 ? '40' : `42["echo",${i}]`,
      },
    );
    assert.is(status, 200, body);
  }
  assert.match((await poll(cloudflare.client(), `&sid=${sid}`, headers)).body, '40');
});

test.run();
