import { randomBytes } from 'node:crypto';
import { request } from 'node:https';
import type { Socket } from 'node:net';
import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { siteOf } from '../nginx/server-names.ts';

export interface CanaryCount {
  sent: number;
  failed: number;
  /** Seconds. */
  slowest: number;
  /** What went wrong last, at most ten. */
  failures: string[];
  /** Times that the WebSocket had to be opened again; each release of an instance ends those that it holds. */
  reopened: number;
}

export interface Canary {
  count: () => CanaryCount;
  stop: () => Promise<CanaryCount>;
}

/** Seconds between requests: far below the limit of one client. */
const PAUSE = 0.5;
const TIMEOUT = 10;

/** Sends requests through Nginx, as a visitor would, until it is stopped: readiness, what is configured, and a WebSocket. */
export function startCanary(config: Config): Canary {
  const { api } = siteOf(config);
  const count: CanaryCount = { sent: 0, failed: 0, slowest: 0, failures: [], reopened: 0 };
  let stopping = false;
  let stop = () => {};
  const stopped = new Promise<void>(resolve => {
    stop = resolve;
  });
  const fail = (what: string, why: string) => {
    count.failed++;
    count.failures = [...count.failures.slice(-9), `${new Date().toISOString()} ${what}: ${why}`];
  };
  const pause = () => Promise.race([stopped, new Promise(resolve => setTimeout(resolve, PAUSE * 1000))]);

  const ask = async (path: string) => {
    const started = performance.now();
    count.sent++;
    try {
      const status = await get(config, api, path);
      if (status !== 200) fail(`GET ${path}`, `HTTP ${status}`);
    } catch (error) {
      fail(`GET ${path}`, messageOf(error));
    }
    count.slowest = Math.max(count.slowest, (performance.now() - started) / 1000);
  };
  const paths = ['/api/v1/health/ready', ...config.deploy.canaryPaths];
  const asking = (async () => {
    for (let turn = 0; !stopping; turn++) {
      await ask(paths[turn % paths.length]!);
      await pause();
    }
  })();
  const holding = (async () => {
    for (let turn = 0; !stopping; turn++) {
      count.sent++;
      if (turn > 0) count.reopened++;
      try {
        const socket = await openSocket(config, api);
        await Promise.race([stopped, socket.closed]);
        socket.close();
      } catch (error) {
        fail('WebSocket', messageOf(error));
      }
      await pause();
    }
  })();
  return {
    count: () => structuredClone(count),
    stop: async () => {
      stopping = true;
      stop();
      await Promise.all([asking, holding]);
      return count;
    },
  };
}

const to = (config: Config, host: string) => ({
  host: '127.0.0.1',
  port: config.httpsPort,
  servername: host,
  // What the certificate is worth is health-check.ts's business; this is about answers.
  rejectUnauthorized: false,
  agent: false as const,
  headers: { Host: host, 'User-Agent': 'canary' },
});

function get(config: Config, host: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...to(config, host), path }, response => {
      response
        .resume()
        .once('end', () => resolve(response.statusCode!))
        .once('error', reject);
    });
    asked.setTimeout(TIMEOUT * 1000, () => asked.destroy(new Error(`no answer in ${TIMEOUT} s`)));
    asked.once('error', reject).end();
  });
}

/** Opens Socket.IO's transport by hand: what is watched is the way through Nginx, not the protocol above it. */
function openSocket(config: Config, host: string): Promise<{ closed: Promise<void>; close: () => void }> {
  return new Promise((resolve, reject) => {
    const { headers, ...options } = to(config, host);
    const asked = request({
      ...options,
      path: '/socket.io/?EIO=4&transport=websocket',
      headers: {
        ...headers,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      },
    });
    asked.setTimeout(TIMEOUT * 1000, () => asked.destroy(new Error(`no answer in ${TIMEOUT} s`)));
    asked.once('error', reject);
    asked.once('response', response => {
      response.destroy();
      reject(new Error(`HTTP ${response.statusCode} in the place of 101`));
    });
    asked.once('upgrade', (_response, socket: Socket) => {
      socket.setTimeout(0);
      socket.on('error', () => {}); // as good as closed
      const closed = new Promise<void>(over => socket.once('close', () => over()));
      socket.on('data', chunk => answer(socket, chunk));
      resolve({ closed, close: () => socket.destroy() });
    });
    asked.end();
  });
}

const PONG = Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x33]); // a text frame with the mask 0: "3"

/** What a client owes: a pong for Socket.IO's ping, and an end for the server's farewell, which it would wait for. */
function answer(socket: Socket, chunk: Buffer): void {
  for (let at = 0; at + 1 < chunk.length; ) {
    const [first = 0, second = 0] = chunk.subarray(at, at + 2);
    const long = (second & 0x7f) === 126;
    const start = at + (long ? 4 : 2);
    const length = long && chunk.length >= at + 4 ? chunk.readUInt16BE(at + 2) : second & 0x7f;
    if ((first & 0x0f) === 0x8) return void socket.destroy();
    if ((first & 0x0f) === 0x1 && chunk[start] === 0x32) socket.write(PONG);
    at = start + length;
  }
}
