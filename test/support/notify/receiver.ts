import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  method: string;
  path: string;
  body: string;
}

/** A web server that notes what it is sent. */
export interface Receiver {
  url: string;
  received: Received[];
  /** How it answers: a status, or not at all. */
  answer: number | 'never' | 'hangs up';
  stop: () => Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    receiver.received.push({ method: request.method!, path: request.url!, body });
    if (receiver.answer === 'hangs up') request.socket.destroy();
    else if (receiver.answer !== 'never') response.writeHead(receiver.answer).end('noted');
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: [],
    answer: 200,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return receiver;
}
