/** A client of HTTP/2 that can tell a request that was refused from one that was lost. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { Cloudflare } from './cloudflare.ts';
import { dial, hostOf } from './http.ts';
import type { Stack } from './stack.ts';

/**
 * What became of a request. Refused: the server has said that it did not look at it (GOAWAY with a lower stream
 * identifier), or the connection was closed before it was sent. So it may be sent again, whatever its method (RFC 9113,
 * 6.8 and 8.7).
 */
export type Outcome = number | 'refused' | 'lost';

export interface Http2Client {
  /** False from GOAWAY on: the next request needs another connection. */
  isOpen: () => boolean;
  post: (path: string, body: object) => Promise<Outcome>;
  close: () => void;
}

const LIMIT_MS = 20_000;

/** One connection to the API. Each request is of a client that nobody was before. */
export async function http2Client(stack: Stack, cloudflare: Cloudflare): Promise<Http2Client> {
  const host = hostOf(stack, 'api');
  const socket = await dial(stack, host, { port: cloudflare.port, ALPNProtocols: ['h2'] });
  const session = connect(`https://${host}`, { createConnection: () => socket });
  let lastStream: number | undefined;
  session.on('goaway', (_code, last) => {
    lastStream = last;
  });
  session.on('error', () => {}); // the streams tell
  const isOpen = () => !session.closed && !session.destroyed && lastStream === undefined;
  return {
    isOpen,
    close: () => session.close(),
    async post(path, body) {
      if (!isOpen()) return 'refused';
      const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/json' };
      const stream = session.request({ ...headers, 'cf-connecting-ip': cloudflare.client() });
      const { id, status } = await ended(session, stream, JSON.stringify(body));
      if (status !== undefined) return status;
      return id === undefined || (lastStream !== undefined && lastStream < id) ? 'refused' : 'lost';
    },
  };
}

/** @returns the stream's identifier, if it was ever sent, and the status, if there was an answer */
function ended(
  session: ClientHttp2Session,
  stream: ClientHttp2Stream,
  body: string,
): Promise<{ id?: number | undefined; status?: number | undefined }> {
  return new Promise((resolve, reject) => {
    let status: number | undefined;
    const timer = setTimeout(() => {
      reject(new Error(`no answer to a stream of HTTP/2 in ${LIMIT_MS} ms`));
      session.destroy();
    }, LIMIT_MS);
    stream.on('response', headers => {
      status = headers[':status'];
    });
    stream.on('error', () => {});
    stream.once('close', () => {
      clearTimeout(timer);
      resolve({ id: stream.id, status });
    });
    stream.resume().end(body);
  });
}
