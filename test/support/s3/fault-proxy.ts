import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as it came in. */
export interface Seen {
  method: string;
  /** Without the bucket: `database/app_production_….json`. */
  key: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
}

export interface Exchange {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
  /** Asks the real store. */
  ask: () => Promise<IncomingMessage>;
}

/** What goes wrong with a request. */
export type Fault = (exchange: Exchange) => void | Promise<void>;

/** A store's front door that misbehaves as it is told; all else goes to the real store behind it, unchanged. */
export interface FaultProxy {
  endpoint: string;
  /** Decides about each request; undefined lets it pass. Set it again for each test. */
  fault: (seen: Seen) => Fault | undefined;
  seen: Seen[];
  stop: () => Promise<void>;
}

/** @param abortUpload what answers AbortMultipartUpload, which the server behind may lack */
export async function startFaultProxy(
  target: string,
  abortUpload: (uploadId: string) => void,
): Promise<FaultProxy> {
  const server = createServer();
  const seen: Seen[] = [];
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: () => undefined,
    seen,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  server.on('request', (incoming, outgoing) => {
    const url = new URL(incoming.url!, target);
    const key = decodeURIComponent(url.pathname).split('/').slice(2).join('/');
    const one = { method: incoming.method!, key, query: url.searchParams, headers: incoming.headers };
    seen.push(one);
    const fault = proxy.fault(one) ?? (isAbort(one) ? aborts(abortUpload) : passes());
    const exchange = { incoming, outgoing, ask: () => pass(target, incoming) };
    Promise.resolve(fault(exchange)).catch(() => incoming.socket.destroy());
  });
  return proxy;
}

export const isAbort = ({ method, query }: Seen) => method === 'DELETE' && query.has('uploadId');

function aborts(abortUpload: (uploadId: string) => void): Fault {
  return ({ incoming, outgoing }) => {
    abortUpload(new URL(incoming.url!, 'http://proxy').searchParams.get('uploadId')!);
    outgoing.writeHead(204).end();
  };
}

function pass(target: string, incoming: IncomingMessage): Promise<IncomingMessage> {
  const { expect: _, ...headers } = incoming.headers; // this server has already said 100 Continue
  const { hostname, port } = new URL(target);
  return new Promise((resolve, reject) => {
    const onward = request({ hostname, port, method: incoming.method, path: incoming.url, headers }, resolve);
    onward.once('error', reject);
    incoming.once('close', () => incoming.complete || onward.destroy()); // else the store waits for the rest
    incoming.pipe(onward);
  });
}

/** Lets a request through; `change` may alter the answer's headers. */
export function passes(change: (headers: IncomingHttpHeaders) => void = () => {}): Fault {
  return async ({ outgoing, ask }) => {
    const answer = await ask();
    change(answer.headers);
    outgoing.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(outgoing);
  };
}

/**
 * Answers with an error of S3's instead of asking the store.
 * @param more elements of the error, such as Region, and headers
 */
export function answers(
  status: number,
  code: string,
  more: { elements?: string; headers?: Record<string, string> } = {},
): Fault {
  return async ({ incoming, outgoing }) => {
    for await (const _ of incoming); // a connection in the middle of a request could not be used again
    const headers = { 'content-type': 'application/xml', date: new Date().toUTCString(), ...more.headers };
    outgoing.writeHead(status, headers);
    outgoing.end(
      incoming.method === 'HEAD'
        ? undefined
        : `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code} for a test</Message>${more.elements ?? ''}</Error>`,
    );
  };
}

/** Takes the request and says that all is well, but keeps nothing. */
export function loses(): Fault {
  return async ({ incoming, outgoing }) => {
    for await (const _ of incoming);
    outgoing.writeHead(200, { etag: '"0123456789abcdef0123456789abcdef"' }).end();
  };
}

/** Answers without the object's metadata, as from a store that keeps none. */
export function losesMetadata(): Fault {
  return passes(headers => {
    for (const name of Object.keys(headers)) if (name.startsWith('x-amz-meta-')) delete headers[name];
  });
}

/** Takes the request and never answers. */
export function hangs(): Fault {
  return ({ incoming }) => {
    incoming.resume();
  };
}

/** Breaks the connection when this much of the request's body has come; the store gets nothing of it. */
export function cutsRequest(after: number): Fault {
  return ({ incoming }) => {
    let received = 0;
    const look = (length: number) => {
      received += length;
      if (received >= after) incoming.socket.resetAndDestroy();
    };
    incoming.on('data', (chunk: Buffer) => look(chunk.length));
    incoming.on('end', () => incoming.socket.resetAndDestroy());
    look(0);
  };
}

/** Breaks the connection when this much of the answer's body has gone out. */
export function cutsAnswer(after: number): Fault {
  return async ({ incoming, outgoing, ask }) => {
    const answer = await ask();
    outgoing.writeHead(answer.statusCode!, answer.headers);
    let left = after;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      const part = chunk.subarray(0, left);
      left -= part.length;
      await new Promise(resolve => outgoing.write(part, resolve));
      if (left === 0) break;
    }
    incoming.socket.destroy(); // in order, so that what was written arrives
  };
}
