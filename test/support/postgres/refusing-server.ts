import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';

const SSL_REQUEST = 80877103;

/**
 * Runs `body` with a server that answers every connection with an error before anyone is logged in, as a pooler or a
 * server that is starting does.
 * @see https://www.postgresql.org/docs/15/protocol-message-formats.html (ErrorResponse)
 */
export async function withRefusingServer(
  code: string,
  message: string,
  body: (port: number) => Promise<void>,
): Promise<void> {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const length = Buffer.alloc(4);
  length.writeInt32BE(fields.length + 4);
  const answer = Buffer.concat([Buffer.from('E'), length, fields]);
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.on('data', data => {
      if (data.length === 8 && data.readInt32BE(4) === SSL_REQUEST) socket.write('N');
      else socket.end(answer);
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  try {
    await body((server.address() as AddressInfo).port);
  } finally {
    await new Promise(resolve => server.close(resolve));
  }
}
