/** Requests to a stack as a client of it would send them: by name, over TLS, with its certificate checked. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { type Agent, request as httpsRequest } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import type { Stack } from './stack.ts';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Every header line as it came, names in lower case. */
  lines: [string, string][];
  body: string;
}

export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** Where to connect to: the stack's own port unless told. */
  port?: number;
  agent?: Agent;
}

/** The host name of a part of the stack. */
export function hostOf(stack: Stack, part: 'api' | 'www' | 'site'): string {
  if (part === 'api' && stack.variables.API_DOMAIN) return stack.variables.API_DOMAIN;
  return part === 'site' ? stack.domain : `${part}.${stack.domain}`;
}

/** One request over TLS to a part of the stack, on a connection of its own unless an agent is given. */
export function ask(
  stack: Stack,
  part: 'api' | 'www' | 'site',
  path: string,
  options: Ask = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body, port = stack.httpsPort, agent } = options;
  const host = hostOf(stack, part);
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        servername: host,
        ca: stack.ca,
        agent: agent ?? false,
        headers: {
          Host: host,
          ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }),
          ...headers,
        },
      },
      response => collect(response, resolve, reject),
    );
    request.setTimeout(30_000, () => request.destroy(new Error(`no answer to ${method} ${path} in 30 s`)));
    // An answer may come before the body is through, as 413 does; then the connection is reset.
    request.once('error', reject).end(body);
  });
}

/** One request over plain HTTP, with a Host header of any kind. */
export function askPlain(stack: Stack, host: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    httpRequest(
      { host: '127.0.0.1', port: stack.httpPort, path, agent: false, headers: { Host: host } },
      response => collect(response, resolve, reject),
    )
      .once('error', reject)
      .end();
  });
}

export const json = (value: unknown) => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(value),
});

/** A connection with nothing sent yet, for requests that no client library would send. */
export function dial(stack: Stack, servername: string, options: object = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port: stack.httpsPort,
      servername,
      ca: stack.ca,
      ...options,
    });
    socket.once('error', reject).once('secureConnect', () => resolve(socket));
  });
}

/** Sends a request as text and gives the first line and headers of what comes back. */
export async function sendRaw(stack: Stack, text: string, port = stack.httpsPort): Promise<string> {
  const socket = await dial(stack, hostOf(stack, 'api'), { port });
  try {
    socket.write(text);
    let answer = '';
    for await (const chunk of socket) {
      answer += chunk;
      if (answer.includes('\r\n\r\n')) break;
    }
    return answer;
  } finally {
    socket.destroy();
  }
}

function collect(
  response: import('node:http').IncomingMessage,
  resolve: (answer: Answer) => void,
  reject: (error: Error) => void,
): void {
  const chunks: Buffer[] = [];
  response.on('data', chunk => chunks.push(chunk)).once('error', reject);
  response.once('end', () => {
    const raw = response.rawHeaders;
    const lines = Array.from({ length: raw.length / 2 }, (_, i): [string, string] => [
      raw[2 * i]!.toLowerCase(),
      raw[2 * i + 1]!,
    ]);
    resolve({
      status: response.statusCode!,
      headers: response.headers,
      lines,
      body: Buffer.concat(chunks).toString(),
    });
  });
}
