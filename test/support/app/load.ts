import { randomUUID } from 'node:crypto';
import { Agent, type OutgoingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

export type Load = {
  /** Requests answered so far, failed ones not counted. */
  answered(): number;
  /** The id of each order that was answered with 201. */
  orders: Set<string>;
  /** What went wrong with each request that failed. */
  failures: string[];
  /** No new requests; resolves when the last is answered. */
  stop(): Promise<void>;
};

type Answer = { status: number; headers: NodeJS.Dict<string | string[]>; body: string };

/** One HTTP request over the agent's connections; rejects if no whole answer comes. */
export function send(
  method: string,
  url: string,
  options: { agent?: Agent; body?: string; headers?: OutgoingHttpHeaders } = {},
): Promise<Answer> {
  const { agent, body, headers } = options;
  const length =
    body === undefined
      ? {}
      : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    request(url, { method, agent, headers: { ...length, ...headers } }, response => {
      text(response).then(
        answer => resolve({ status: response.statusCode!, headers: response.headers, body: answer }),
        reject,
      );
    })
      .on('error', reject)
      .end(body);
  });
}

/** An upload of which half has been sent: a request that is in flight until the test finishes it. */
export function startUpload(baseUrl: string): { finish: () => Promise<Answer> } {
  const HALF = 1_000_000;
  const upload = request(`${baseUrl}/uploads`, { method: 'POST', headers: { 'Content-Length': 2 * HALF } });
  const answer = new Promise<Answer>((resolve, reject) => {
    upload.on('error', reject).on('response', response => {
      text(response).then(
        body => resolve({ status: response.statusCode!, headers: response.headers, body }),
        reject,
      );
    });
  });
  answer.catch(() => {}); // the error reaches the caller that awaits it
  upload.write(Buffer.alloc(HALF));
  return {
    finish: () => {
      upload.end(Buffer.alloc(HALF));
      return answer;
    },
  };
}

/**
 * Keepalive clients, each with one request after the other: by turns a list and an order that is counted.
 * @param pause of each client after an answer, in ms
 */
export function startLoad(baseUrl: string, clients: number, pause = 0): Load {
  const load = { orders: new Set<string>(), failures: [] as string[] };
  let [answered, stopping] = [0, false];

  async function client(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let turn = 0; !stopping; turn++) {
      const id = randomUUID();
      const [what, expected] = turn % 2 ? ['POST /orders', 201] : ['GET /articles', 200];
      const [method, path] = what.split(' ') as [string, string];
      try {
        const body = method === 'POST' ? JSON.stringify({ id }) : undefined;
        const { status } = await send(method, baseUrl + path, { agent, body });
        if (status !== expected) throw new Error(`status ${status}`);
        if (method === 'POST') load.orders.add(id);
        answered += 1;
      } catch (error) {
        load.failures.push(`${what}: ${error}`);
      }
      if (pause > 0) await sleep(pause);
    }
    agent.destroy();
  }

  const running = Promise.all(Array.from({ length: clients }, client));
  return {
    ...load,
    answered: () => answered,
    async stop() {
      stopping = true;
      await running;
    },
  };
}
