import { connect, createServer, type Socket } from 'node:net';

export type Balancer = { port: number; stop(): Promise<void> };

/**
 * The part of a load balancer that matters to an instance that leaves: each new connection goes to the next
 * backend, or to the one after it if the connection is refused. It knows nothing of HTTP and repeats no request.
 */
export async function startBalancer(backends: { port: number }[]): Promise<Balancer> {
  const sockets = new Set<Socket>();
  const track = (socket: Socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)));
    return socket;
  };
  let next = 0;

  function forward(client: Socket, attempts: number): void {
    const { port } = backends[next++ % backends.length]!;
    const upstream = track(connect(port, '127.0.0.1'));
    upstream.on('connect', () => {
      client.pipe(upstream).pipe(client);
      upstream.on('close', () => client.destroy());
      client.on('close', () => upstream.destroy());
    });
    upstream.on('error', () => {
      const retry = upstream.connecting || upstream.bytesRead + upstream.bytesWritten === 0;
      if (retry && attempts > 1 && !client.destroyed) forward(client, attempts - 1);
      else client.destroy();
    });
  }

  const server = createServer(client => {
    client.on('error', () => client.destroy());
    track(client);
    forward(client, backends.length);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise(resolve => server.close(() => resolve()));
    },
  };
}
