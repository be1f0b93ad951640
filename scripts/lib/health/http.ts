/** Requests of checks: each on a connection of its own, with a time limit. Certificates are not verified here. */
import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import { messageOf, OperationalError } from '../core/errors.ts';

/* An import reads every export of node:http, and with WebSocket loads all of undici: half as much as Node's own start. */
const { request } = process.getBuiltinModule('node:http');

/** Characters after which the rest of a body is not read. */
const BODY_LIMIT = 64 * 1024;
/** Less than a check may take, so that its message says which server did not answer. */
const SECONDS = 4;

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** Milliseconds until the body was read. */
  ms: number;
  /** Over TLS: why the certificate is not valid for the name. */
  wrongName?: string;
}

interface Server {
  address: string;
  port: number;
  /** The name to ask for. Default: the address. */
  host?: string;
  /** What to do when there is no answer. */
  hint: string;
}

interface Question extends Server {
  path: string;
  method?: 'GET' | 'HEAD';
  tls?: boolean;
}

/** @throws OperationalError when there is no answer within 4 s */
export function ask({ address, port, host = address, hint, path, method, tls }: Question): Promise<Answer> {
  const started = performance.now();
  return answered(`${address}:${port} does not answer`, hint, async signal => {
    const socket = tls ? await connectTls(address, port, host, signal) : undefined;
    const asked = request({
      ...{ host: address, port, path, method, headers: { host }, signal },
      ...(socket ? { createConnection: () => socket } : { agent: false }),
    });
    asked.on('error', () => {}); // rejects `once` before the response, and the reading of the body after it
    const [response] = (await once(asked.end(), 'response')) as [IncomingMessage];
    let body = '';
    for await (const text of response.setEncoding('utf8')) {
      body += text;
      if (body.length > BODY_LIMIT) break;
    }
    return {
      status: response.statusCode!,
      headers: response.headers,
      body,
      ms: performance.now() - started,
      wrongName: socket && checkServerIdentity(host, socket.getPeerCertificate())?.message,
    };
  });
}

/**
 * @param roots PEM; default: those that Node.js trusts
 * @returns the certificate that a server shows for a name, and why Node.js does not trust it
 * @throws OperationalError when there is none within 4 s
 */
export function certificateOf(
  { address, port, host = address, hint }: Server,
  roots?: string[],
): Promise<{ certificate: X509Certificate; distrust?: string }> {
  return answered(`${address}:${port} shows no certificate for ${host}`, hint, async signal => {
    const socket = await connectTls(address, port, host, signal, roots);
    const certificate = socket.getPeerX509Certificate()!;
    const distrust = socket.authorized ? undefined : String(socket.authorizationError);
    socket.destroy();
    return { certificate, distrust };
  });
}

async function answered<T>(
  failure: string,
  hint: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = AbortSignal.timeout(SECONDS * 1000);
  try {
    return await work(signal);
  } catch (error) {
    const why = signal.aborted ? `no answer in ${SECONDS} s` : messageOf(error);
    throw new OperationalError(`${failure}: ${why}`, hint);
  }
}

async function connectTls(
  host: string,
  port: number,
  servername: string,
  signal: AbortSignal,
  roots?: string[],
): Promise<TLSSocket> {
  const lax = { rejectUnauthorized: false, checkServerIdentity: () => undefined };
  const socket = connect({ host, port, servername, ...lax, ...(roots && { ca: roots }) });
  signal.addEventListener('abort', () => socket.destroy(signal.reason), { once: true });
  await once(socket, 'secureConnect');
  return socket;
}

/** @returns a body's JSON object, or an empty one if the body is something else */
export function jsonOf({ body }: Answer): Record<string, unknown> {
  try {
    const json = JSON.parse(body);
    return json !== null && typeof json === 'object' ? json : {};
  } catch {
    return {};
  }
}
