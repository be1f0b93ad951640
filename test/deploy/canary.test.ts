/** The canary's WebSocket, against a server that writes its frames byte by byte. test/stack/ has the canary as a whole. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { holdSocket } from '../../scripts/lib/deploy/canary.ts';

/** https://www.rfc-editor.org/rfc/rfc6455#section-1.3 */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n';

/** A frame from a server: https://www.rfc-editor.org/rfc/rfc6455#section-5.2 */
function frame(opcode: number, payload: Buffer): Buffer {
  const long = payload.length > 125;
  const head = Buffer.from([
    0x80 | opcode,
    ...(long ? [126, payload.length >> 8] : []),
    payload.length & 0xff,
  ]);
  return Buffer.concat([head, payload]);
}
const text = (value: string) => frame(1, Buffer.from(value));
const CLOSE = frame(8, Buffer.from([0x03, 0xe9]));

interface Peer {
  request: IncomingMessage;
  /** Writes each byte by itself. */
  trickle: (bytes: Buffer) => Promise<void>;
  /** The text frames that the client has sent. */
  answers: string[];
  socket: Duplex;
}

/** Holds a socket to a server that behaves as `behave` says. @returns whether it failed, when it has ended */
async function held(
  behave: (peer: Peer) => Promise<void>,
  stop = new AbortController(),
): Promise<Error | undefined> {
  const server = createServer((_request, response) => response.writeHead(502).end());
  let behaved: Promise<void> | undefined;
  server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}${GUID}`)
      .digest('base64');
    const answers: string[] = [];
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => {
      // Short frames, each with a mask, in one piece.
      for (let at = 0; at < data.length; at += 6 + (data[at + 1]! & 0x7f)) {
        const mask = data.subarray(at + 2, at + 6);
        const body = data
          .subarray(at + 6, at + 6 + (data[at + 1]! & 0x7f))
          .map((byte, i) => byte ^ mask[i % 4]!);
        if ((data[at]! & 0x0f) === 1) answers.push(Buffer.from(body).toString());
        if ((data[at]! & 0x0f) === 8) socket.end();
      }
    });
    socket.write(`${SWITCHING}Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
    const trickle = async (bytes: Buffer) => {
      for (const byte of bytes) {
        socket.write(Buffer.from([byte]));
        await sleep(2);
      }
    };
    behaved = behave({ request, trickle, answers, socket });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const origin = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const error = await holdSocket(origin, 'api.example', stop.signal).then(
      () => undefined,
      (reason: Error) => reason,
    );
    await behaved;
    return error;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('each ping is answered, also when its frame arrives in pieces or after a long one', async () => {
  let seen: Peer | undefined;
  const error = await held(async peer => {
    seen = peer;
    await peer.trickle(text('0{"sid":"x","pingInterval":25000}'));
    await peer.trickle(text('2'));
    // A long message that is full of what looks like pings; its header comes in two pieces.
    const long = text(`42${'\x81\x01' + '2'.repeat(298)}`);
    peer.socket.write(Buffer.concat([text('2'), long.subarray(0, 3)]));
    await sleep(20);
    peer.socket.write(long.subarray(3));
    await peer.trickle(text('2'));
    while (peer.answers.length < 3) await sleep(5);
    await sleep(20);
    await peer.trickle(CLOSE);
  });
  assert.is(error, undefined);
  assert.equal(seen?.answers, ['3', '3', '3']);
  assert.is(seen?.request.headers.host, 'api.example');
  assert.is(seen?.request.url, '/socket.io/?EIO=4&transport=websocket');
});

test('a connection that breaks has ended; it is no failure', async () => {
  assert.is(await held(async ({ socket }) => void socket.destroy()), undefined);
});

test('it ends at once when the canary is stopped', async () => {
  const stop = new AbortController();
  assert.is(await held(async () => stop.abort(), stop), undefined);
});

test('a server that does not switch protocols is a failure', async () => {
  const server = createServer((_request, response) => response.writeHead(502).end());
  server.on('upgrade', (_request, socket) =>
    socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    await holdSocket(`ws://127.0.0.1:${port}`, 'api.example', new AbortController().signal);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /502/);
  } finally {
    server.close();
  }
});

test.run();
