import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A port of loopback for a program that can't choose one itself. Between this look and the program's own, any
 * connection of this machine could take a port that the kernel gives out by itself, so it is one below those.
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
