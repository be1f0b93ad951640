/** A way for apt and npm of a machine whose network has no way out: an HTTP proxy, on a socket in the file system. */
import { createServer, request } from 'node:http';
import { connect } from 'node:net';

/** @param socket path */
export async function startProxy(socket: string): Promise<{ stop: () => void }> {
  const server = createServer((asked, answer) => {
    const url = new URL(asked.url!);
    const forward = request(url, { method: asked.method!, headers: asked.headers }, got => {
      answer.writeHead(got.statusCode!, got.headers);
      got.pipe(answer);
    });
    forward.on('error', error => {
      answer.writeHead(502);
      answer.end(error.message);
    });
    asked.pipe(forward);
  });
  server.on('connect', (asked, client) => {
    const [host = '', port = '443'] = asked.url!.split(':');
    const target = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 connected\r\n\r\n');
      target.pipe(client).pipe(target);
    });
    target.on('error', () => client.destroy());
    client.on('error', () => target.destroy());
  });
  await new Promise<void>(resolve => server.listen(socket, resolve));
  return {
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** What runs in the machine's network and passes connections to its loopback on to that socket. */
export const RELAY = `
  const { connect, createServer } = require('node:net');
  const [socket, port] = process.argv.slice(1);
  createServer(client => {
    const up = connect(socket);
    for (const [one, other] of [[client, up], [up, client]]) one.on('error', () => other.destroy()).pipe(other);
  }).listen(Number(port), '127.0.0.1', () => console.log('relays'));`;
