/** Pebble, a real ACME server for tests, with a name server of its own, as processes of this machine. */
import { readFileSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { createServer, request as secureRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../../scripts/lib/drill/free-port.ts';
import { unpack } from '../../engine/apt.ts';
import { CACHE } from '../../engine/engine.ts';
import { withLock } from '../../engine/process.ts';
import { startProgram, until } from '../core/world.ts';
import { authority, issue } from './authority.ts';

export interface Pebble {
  /** The URL of its ACME directory. */
  url: string;
  /** The roots of its directory and of its certificates. */
  caFile: string;
  /** Where names lead, 127.0.0.1 unless told. */
  leads: (name: string, address: string) => Promise<void>;
  /** It refuses orders as Let's Encrypt does to whom has sent too many. */
  limited: boolean;
  /** Has it say when a certificate is to be renewed (ARI). @param certificate PEM */
  suggests: (certificate: string, start: Date, end: Date) => Promise<void>;
  stop: () => Promise<void>;
}

export interface Wishes {
  /** An address of this machine that certbot reaches. */
  address: string;
  /** Where it asks for the challenges. */
  httpPort: number;
  /** Seconds. */
  validity?: number;
  /** A name that was proven is not asked for again, as Let's Encrypt does for 30 days. Default: each order proves all. */
  reuse?: boolean;
}

const LIMITED = {
  type: 'urn:ietf:params:acme:error:rateLimited',
  detail:
    'too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2036-01-01 00:00:00 UTC',
  status: 429,
};

/** @param directory for its files */
export async function startPebble(
  directory: string,
  { address, httpPort, validity = 90 * 86_400, reuse = false }: Wishes,
): Promise<Pebble> {
  const root = join(CACHE, 'pebble-sid');
  await withLock(join(CACHE, 'pebble.lock'), () => unpack('sid', ['pebble'], root));
  const tls = authority(directory, 'Pebble TLS');
  const own = issue(directory, 'pebble', {
    names: [],
    issuer: tls,
    extensions: [`subjectAltName=IP:${address},IP:127.0.0.1`],
  });
  const [acme, management, dns, mock] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const config = join(directory, 'pebble.json');
  const pebble = {
    listenAddress: `127.0.0.1:${acme}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: own.file,
    privateKey: `${own.file}.key`,
    httpPort,
    tlsPort: 5001,
    retryAfter: { authz: 1, order: 1 },
    keyAlgorithm: 'ecdsa',
    domainBlocklist: ['blocked.example'],
    profiles: { default: { description: 'the only one', validityPeriod: validity } },
  };
  writeFileSync(config, JSON.stringify({ pebble }));
  const env = {
    PATH: process.env.PATH!,
    PEBBLE_VA_NOSLEEP: '1',
    PEBBLE_WFE_NONCEREJECT: '0',
    PEBBLE_AUTHZREUSE: reuse ? '100' : '0',
  };
  const bin = (name: string) => join(root, 'usr/bin', name);
  const names = startProgram(
    bin('pebble-challtestsrv'),
    [
      '-defaultIPv4',
      '127.0.0.1',
      '-defaultIPv6',
      '',
      '-dnsserver',
      `127.0.0.1:${dns}`,
      '-management',
      `127.0.0.1:${mock}`,
    ].concat(['-http01', '', '-https01', '', '-tlsalpn01', '', '-doh', '']),
    env,
  );
  const server = startProgram(bin('pebble'), ['-config', config, '-dnsserver', `127.0.0.1:${dns}`], env);
  const stop = async () => {
    front.close();
    front.closeAllConnections();
    for (const each of [names, server]) each.child.kill();
    await Promise.all([names.ended, server.ended]);
  };
  process.once('exit', () => [names, server].map(each => each.child.kill()));

  const ca = tls.certificate;
  const ask = (port: number, path: string, method = 'GET', body?: string) =>
    new Promise<string>((resolve, reject) => {
      const headers = { 'User-Agent': 'a test' }; // it refuses a request without
      secureRequest({ host: '127.0.0.1', port, path, method, headers, ca, agent: false }, async answer => {
        const text = await textOf(answer);
        if (answer.statusCode! < 300) resolve(text);
        else reject(new Error(`pebble answered ${answer.statusCode}: ${text}`));
      })
        .on('error', reject)
        .end(body);
    });
  const mocked = (path: string, body: unknown) =>
    new Promise<void>((resolve, reject) => {
      request({ host: '127.0.0.1', port: mock, path, method: 'POST', agent: false }, answer =>
        answer.resume().on('end', () => resolve()),
      )
        .on('error', reject)
        .end(JSON.stringify(body));
    });

  // Before it, at the address that certbot reaches, what refuses orders. Pebble makes its URLs of the Host of a request.
  const key = { cert: own.certificate, key: readFileSync(`${own.file}.key`) };
  const front = createServer(key, (asked, answer) => {
    const { method, url: path, headers } = asked;
    if (result.limited && path === '/order-plz') {
      asked.resume();
      answer.writeHead(429, { 'Content-Type': 'application/problem+json', 'Replay-Nonce': 'none' });
      answer.end(JSON.stringify(LIMITED));
      return;
    }
    const passed = secureRequest(
      { host: '127.0.0.1', port: acme, method, path, headers, ca, agent: false },
      from => {
        answer.writeHead(from.statusCode!, from.headers);
        from.pipe(answer);
      },
    );
    passed.on('error', () => answer.destroy());
    asked.pipe(passed);
  });
  await new Promise<void>(resolve => front.listen(0, address, resolve));
  const roots = () => ask(management, '/roots/0');
  await until('pebble answers', () =>
    roots().then(
      () => true,
      () => {
        if (server.child.exitCode !== null) throw new Error(`pebble has ended: ${server.stderr()}`);
        return false;
      },
    ),
  );
  const caFile = join(directory, 'roots.pem');
  writeFileSync(caFile, ca + (await roots()), { mode: 0o644 });
  const result: Pebble = {
    url: `https://${address}:${(front.address() as AddressInfo).port}/dir`,
    caFile,
    limited: false,
    leads: async (name, to) => {
      await mocked('/clear-a', { host: `${name}.` }); // it would add one
      await mocked('/add-a', { host: `${name}.`, addresses: [to] });
    },
    suggests: async (certificate, start, end) => {
      const window = { suggestedWindow: { start: start.toISOString(), end: end.toISOString() } };
      await ask(
        management,
        '/set-renewal-info/',
        'POST',
        JSON.stringify({ certificate, ariResponse: JSON.stringify(window) }),
      );
    },
    stop,
  };
  return result;
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of answer.setEncoding('utf8')) text += part;
  return text;
}
