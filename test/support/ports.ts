import { createServer } from 'node:net';

/** @returns a port of loopback that was free a moment ago, for programs that can't choose one themselves */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}
