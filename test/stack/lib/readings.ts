/** Sends targets as they are, which no HTTP library does, and judges what was read in them. */
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { ROUTES } from './routes.ts';
import type { Target } from './targets.ts';
import type { Reader, Reading } from './two-readers.ts';

const CONNECTIONS = 8;
const LIMIT_MS = 10_000;

export type Protocol = 'HTTP/1.1' | 'HTTP/2';
export const PROTOCOLS: Protocol[] = ['HTTP/1.1', 'HTTP/2'];

/** What came of each; undefined: it can't be sent by this protocol, or the answer has no headers. */
export function read(
  reader: Reader,
  protocol: Protocol,
  targets: Pick<Target, 'method' | 'text'>[],
  host = reader.api,
): Promise<(Reading | undefined)[]> {
  const sent = targets.map(({ method, text }) => ({ method, text: text.replace('HOST', reader.api) }));
  return protocol === 'HTTP/1.1' ? readHttp1(reader, sent, host) : readHttp2(reader, sent, host);
}

/** What is wrong with a reading, or undefined. */
export function fault(reading: Reading, text: string): string | undefined {
  const { route, location, status, target, cached } = reading;
  // Nginx sends /api to /api/ with a 301.
  if (!route) return status < 300 || status >= 500 ? `status ${status} without a route` : undefined;
  const meant = ROUTES[route]?.location;
  if (location !== meant) return `reached ${route} by the rules of ${location}`;
  if (cached && location !== '/api/') return `${route} is cached`;
  if (text.startsWith('/') && target !== text) return `Express got ${JSON.stringify(target)}`;
  const path = target.split('?')[0]!;
  const standard = new URL(target, 'http://host').pathname;
  // It encodes some characters, which changes nothing.
  return decoded(standard) === decoded(path) ? undefined : `${standard} by the URL standard`;
}

/** Whatever the encoding of the bytes is. */
const decoded = (path: string) =>
  path.replace(/%([0-9a-f]{2})/gi, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));

/** On some connections at once, each of which is opened again when Nginx closes it. */
async function readHttp1(reader: Reader, targets: { method: string; text: string }[], host: string) {
  const readings: (Reading | undefined)[] = [];
  let next = 0;
  const client = async () => {
    let socket: Socket | undefined;
    while (next < targets.length) {
      const index = next++;
      const { method, text } = targets[index]!;
      // These end the line of the request, or the target in it.
      if (/[\r\n]| $/.test(text)) continue;
      if (!socket || socket.destroyed || socket.readableEnded) socket = connect(reader.port, '127.0.0.1');
      const lines = [`${method} ${text} HTTP/1.1`, `Host: ${host}`, 'Content-Length: 0', '\r\n'];
      socket.write(Buffer.from(lines.join('\r\n'), 'latin1'));
      const answer = await answerOn(socket, text);
      if (!answer) socket.destroy();
      readings[index] = answer && reader.reading(answer.status, answer.headers);
    }
    socket?.destroy();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  return readings;
}

/** The next answer on a connection, which is closed if the answer says so. */
function answerOn(
  socket: Socket,
  text: string,
): Promise<{ status: number; headers: Record<string, string> } | undefined> {
  return new Promise((resolve, reject) => {
    let received = '';
    const done = (value?: { status: number; headers: Record<string, string> }, error?: Error) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      if (error) reject(error);
      else resolve(value);
    };
    const timer = setTimeout(() => {
      socket.destroy();
      done(undefined, new Error(`no answer to ${JSON.stringify(text)}: ${JSON.stringify(received)}`));
    }, LIMIT_MS);
    socket.on('data', chunk => {
      received += chunk.toString('latin1');
      const [head, body] = received.split(/\r\n\r\n(.*)/s) as [string, string | undefined];
      if (body === undefined) return;
      const [first, ...lines] = head.split('\r\n');
      const headers = Object.fromEntries(
        lines.map(line => [line.split(':')[0]!.toLowerCase(), line.split(/: ?(.*)/)[1] ?? '']),
      );
      if (body.length < Number(headers['content-length'] ?? 0)) return;
      if (headers.connection === 'close') socket.destroy();
      done({ status: Number(first!.split(' ')[1]), headers });
    });
    socket.on('close', () => done());
    socket.on('error', () => done());
  });
}

/** As streams of one connection, so many at once as Nginx takes by far. */
async function readHttp2(reader: Reader, targets: { method: string; text: string }[], host: string) {
  const readings: (Reading | undefined)[] = [];
  let session = connectHttp2(`http://127.0.0.1:${reader.port}`);
  let next = 0;
  const ask = (method: string, text: string) =>
    new Promise<Reading | undefined>((resolve, reject) => {
      if (session.closed || session.destroyed) session = connectHttp2(`http://127.0.0.1:${reader.port}`);
      session.on('error', () => {});
      const stream = session.request(
        { ':method': method, ':path': text, ':authority': host, ':scheme': 'http' },
        { endStream: true },
      );
      stream.setTimeout(LIMIT_MS, () => reject(new Error(`no answer to ${JSON.stringify(text)}`)));
      stream.once('response', headers => resolve(reader.reading(Number(headers[':status']), headers)));
      // A stream that Nginx resets was not answered, and not passed on either.
      stream.once('error', () => resolve(undefined)).once('close', () => resolve(undefined));
      stream.resume();
    });
  const client = async () => {
    while (next < targets.length) {
      const index = next++;
      const { method, text } = targets[index]!;
      readings[index] = await ask(method, text);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  session.destroy();
  return readings;
}
