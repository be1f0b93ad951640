import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';

export interface CanaryCount {
  sent: number;
  failed: number;
  /** Seconds. */
  slowest: number;
  /** The last ten failures, each with its time. */
  failures: string[];
  /** How often the WebSocket was reopened: an instance closes its WebSockets when it is stopped. */
  reopened: number;
}

export interface Canary {
  count: () => CanaryCount;
  stop: () => Promise<void>;
}

/** Seconds between requests: far below the rate limit of one client. */
const PAUSE = 0.5;
/** Seconds. */
const TIMEOUT = 10;

/**
 * Sends requests through Nginx, as a visitor would, until it is stopped: readiness, the paths of CANARY_REQUESTS, and one
 * WebSocket. It never throws: failures are counted.
 */
export function startCanary(config: Config): Canary {
  const { api } = config.site;
  const count: CanaryCount = { sent: 0, failed: 0, slowest: 0, failures: [], reopened: 0 };
  const stopping = new AbortController();
  const paths = [config.contract.readyPath, ...config.deploy.canaryPaths];

  const repeat = async (attempt: (turn: number) => Promise<void>, nameOf: (turn: number) => string) => {
    for (let turn = 0; !stopping.signal.aborted; turn++) {
      count.sent++;
      try {
        await attempt(turn);
      } catch (error) {
        count.failed++;
        const failure = `${new Date().toISOString()} ${nameOf(turn)}: ${messageOf(error)}`;
        count.failures = [...count.failures.slice(-9), failure];
      }
      await sleep(PAUSE * 1000, undefined, { signal: stopping.signal }).catch(() => {});
    }
  };
  const pathOf = (turn: number) => paths[turn % paths.length]!;
  const asking = repeat(
    async turn => {
      const started = performance.now();
      try {
        await get(config, api, pathOf(turn));
      } finally {
        count.slowest = Math.max(count.slowest, (performance.now() - started) / 1000);
      }
    },
    turn => `GET ${pathOf(turn)}`,
  );
  const holding = repeat(
    async turn => {
      if (turn > 0) count.reopened++;
      await holdSocket(`wss://127.0.0.1:${config.httpsPort}`, api, stopping.signal);
    },
    () => 'WebSocket',
  );
  return {
    count: () => structuredClone(count),
    stop: async () => {
      stopping.abort();
      await Promise.all([asking, holding]);
    },
  };
}

// Certificates are a check of health-check.ts; the canary counts answers.
const UNVERIFIED = { rejectUnauthorized: false };

/** @throws Error for any status but 200, and for no answer */
function get({ httpsPort: port }: Config, host: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { Host: host, 'User-Agent': 'canary' };
    const to = { host: '127.0.0.1', port, servername: host, agent: false, headers, path, ...UNVERIFIED };
    const asked = request(to, response => {
      const { statusCode } = response;
      const end = () => (statusCode === 200 ? resolve() : reject(new Error(`HTTP ${statusCode}`)));
      response.resume().once('end', end).once('error', reject);
    });
    asked.setTimeout(TIMEOUT * 1000, () => asked.destroy(new Error(`no answer in ${TIMEOUT} s`)));
    asked.once('error', reject).end();
  });
}

/**
 * Opens a WebSocket and keeps it until either side closes it. It speaks Engine.IO as far as the server needs it: a pong for
 * each ping, https://socket.io/docs/v4/engine-io-protocol/#heartbeat. What is tested is the way through Nginx.
 *
 * @throws Error when it can't be opened
 */
export function holdSocket(origin: string, host: string, stop: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = {
      servername: host, // what ws passes on to TLS is not in its types
      headers: { Host: host, 'User-Agent': 'canary' },
      handshakeTimeout: TIMEOUT * 1000,
      ...UNVERIFIED,
    };
    const socket = new WebSocket(`${origin}/socket.io/?EIO=4&transport=websocket`, options);
    let isOpen = false;
    const close = () => socket.terminate();
    stop.addEventListener('abort', close, { once: true });
    socket.once('open', () => {
      isOpen = true;
    });
    socket.on('message', data => {
      if (data.toString() === '2') socket.send('3');
    });
    socket.on('error', error => {
      if (!isOpen && !stop.aborted) reject(error); // when it was open: as good as closed
    });
    socket.once('close', () => {
      stop.removeEventListener('abort', close);
      resolve();
    });
  });
}
