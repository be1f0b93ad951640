import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Finds a port of 127.0.0.1 for a program that can't choose one itself. Between this look and the program's start, any
 * outgoing connection can take a port from the range of which the kernel gives out ports; so it is one below that range.
 *
 * @throws the error of the last of 100 ports, if all are in use
 */
export async function freePort(): Promise<number> {
  for (let tries = 1; ; tries++) {
    const server = createServer();
    const port = randomInt(10_000, 32_000);
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries === 100) throw error;
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}
