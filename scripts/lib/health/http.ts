import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { checkServerIdentity, type TLSSocket } from 'node:tls';
import { messageOf, OperationalError } from '../core/errors.ts';

const BODY_LIMIT = 64 * 1024;
/** Less than a check has, so that its line can say who did not answer. */
const SECONDS = 4;

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** Milliseconds until the body was there. */
  ms: number;
  /** Over TLS: why the certificate is not one of the asked name's. Who has signed it is not looked at. */
  wrongName?: string;
}

export interface Question {
  address: string;
  port: number;
  path: string;
  method?: 'GET' | 'HEAD';
  /** The name to ask for. */
  host?: string;
  tls?: boolean;
  /** What to do when nothing answers. */
  hint: string;
}

/** One request on a connection of its own. @throws {OperationalError} when there is no answer */
export function ask({ address, port, path, method = 'GET', host, tls, hint }: Question) {
  const started = performance.now();
  const name = host ?? address;
  const signal = AbortSignal.timeout(SECONDS * 1000);
  return new Promise<Answer>((resolve, reject) => {
    const fail = (error: unknown) => {
      const why = signal.aborted ? `no answer in ${SECONDS} s` : messageOf(error);
      reject(new OperationalError(`${address}:${port} does not answer: ${why}`, hint));
    };
    const request = (tls ? httpsRequest : httpRequest)({
      host: address,
      port,
      path,
      method,
      agent: false,
      signal,
      headers: { host: name },
      ...(tls ? { servername: name, rejectUnauthorized: false } : {}),
    });
    request.once('error', fail);
    request.once('response', response => {
      const wrongName = tls
        ? checkServerIdentity(name, (response.socket as TLSSocket).getPeerCertificate())?.message
        : undefined;
      let body = '';
      const done = () => {
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, headers, body, ms: performance.now() - started, wrongName });
        response.destroy();
      };
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
        if (body.length > BODY_LIMIT) done();
      });
      response.once('end', done);
      response.once('error', fail);
    });
    request.end();
  });
}

/** @returns a body's JSON, or an empty object where it is none */
export function jsonOf({ body }: Answer): Record<string, unknown> {
  try {
    const json = JSON.parse(body);
    return json !== null && typeof json === 'object' ? json : {};
  } catch {
    return {};
  }
}
