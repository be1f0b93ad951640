/**
 * Visitors, each at an address of its own, in one process: it runs in a container at one of Cloudflare's addresses, so
 * that the load neither starves for the test's own work nor holds it up. `crowd.ts` starts it.
 *
 * Its argument is `Visit` as JSON. It prints the number of requests that have ended, once all sockets are open and then
 * twice a second; when its standard input ends, it asks for nothing new, waits for every answer, and prints `Seen`.
 * Nothing is sent a second time that a browser would not send again.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Agent, type RequestOptions, request } from 'node:https';
import type { LookupFunction } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SocketClient, startSocketClient } from '../../support/app/sockets.ts';

export interface Visit {
  /** Nginx's address. */
  nginx: string;
  /** The API's name. */
  host: string;
  ca: string;
  /** Answers with the SHA-256 of what it got. */
  uploadPath: string;
  clients: number;
  uploaders: number;
  sockets: number;
}

export interface Seen {
  requests: number;
  /** How often each kind of failure came: `POST order: 502`, `GET slow: ECONNRESET`. */
  failures: Record<string, number>;
  /** The first of them, with the time. */
  examples: string[];
  /** Requests that ended with a connection that Nginx had closed while the machine held up this whole process. */
  heldUp: number;
  /** Seconds; uploads are slow on purpose and not counted. */
  slowest: number;
  /** Ids of orders that were answered with 201, and of those that were not. */
  placed: string[];
  unanswered: string[];
  uploads: number;
  /** Events that were acknowledged, and how many clients did not come to know one. */
  events: number;
  lost: number;
  reconnects: number;
  /** Attempts to open a socket that failed, and those of them that the machine held up. */
  refused: Record<string, number>;
  heldUpSockets: Record<string, number>;
}

const { nginx, host, ca, uploadPath, ...visit } = JSON.parse(process.argv[2]!) as Visit;

/** Milliseconds from one request of a client to its next: the limit is one each 100. */
const PACE = 110;
/** A visitor who reads for a while asks next on a connection that has been idle. */
const READING = 3_000;
/**
 * After so long without a request, a client opens another connection, as Node's fetch does: Nginx may close an idle one
 * at any moment after its `keepalive_min_timeout`, and no server can know that a request is on its way. Here it would
 * come to that when the machine holds the visitors up for seconds.
 */
const IDLE = 4_000;
const UPLOAD = { chunks: 16, bytes: 32 * 1024, pause: 350 };
/** Milliseconds from one event of a Socket.IO client to its next. */
const EVENTS = 40_000;
/** Milliseconds for an answer, and for events to arrive. Far above what Nginx allows: who fails should say so. */
const PATIENCE = 180_000;

/**
 * Milliseconds. A client that sends nothing of its request for so long is one that Nginx may turn away
 * (`client_header_timeout`, `client_body_timeout`, `keepalive_min_timeout`), and that is no loss by a deployment.
 */
const HELD_UP = 3_000;
const RESET = ['ECONNRESET', 'EPIPE'];

let beat = performance.now();
let heldUpUntil = 0;
setInterval(() => {
  const now = performance.now();
  if (now - beat > HELD_UP) heldUpUntil = now;
  beat = now;
}, 100).unref();
/** @returns whether this process has stood still since then, or has just gone on */
const stoodStill = (since: number) => heldUpUntil > since || performance.now() - beat > HELD_UP;

/** Milliseconds: after 20 s, a Socket.IO client gives up to open a connection. */
const CONNECTING = 25_000;
const heldUpSockets: Seen['refused'] = {};

let requests = 0;
let heldUp = 0;
let slowest = 0;
let stopping = false;
const stop = new AbortController();
const failures: Seen['failures'] = {};
const refused: Seen['refused'] = {};
const examples: string[] = [];
const placed: string[] = [];
const unanswered: string[] = [];

const addressOf = (group: number, index: number) => `10.${group}.${index >> 8}.${index & 255}`;
const count = (kinds: Record<string, number>, kind: string) => {
  kinds[kind] = (kinds[kind] ?? 0) + 1;
};
const pause = (ms: number) => sleep(ms, undefined, { signal: stop.signal }).catch(() => {});

/** One request; what is not answered with `expected` is a failure. @returns the body, or undefined after a failure */
async function ask(
  what: string,
  expected: number,
  options: RequestOptions,
  body: Iterable<string | Buffer> = [],
  between = 0,
): Promise<string | undefined> {
  const started = performance.now();
  try {
    const asked = request({ host: nginx, servername: host, ca, timeout: PATIENCE, ...options });
    const answered = new Promise<string>((resolve, reject) => {
      asked.once('response', response => {
        const { statusCode = 0 } = response;
        text(response).then(all => (statusCode === expected ? resolve(all) : reject(statusCode)), reject);
      });
      asked.once('timeout', () => asked.destroy(new Error('no answer')));
      asked.once('error', reject);
    });
    answered.catch(() => {}); // it is awaited below, after the body
    for (const chunk of body) {
      asked.write(chunk);
      if (between) await sleep(between);
    }
    asked.end();
    return await answered;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (RESET.includes(code ?? '') && stoodStill(started)) {
      heldUp++;
      return undefined;
    }
    const kind = `${what}: ${typeof error === 'number' ? error : (code ?? message)}`;
    count(failures, kind);
    if (examples.length < 20)
      examples.push(`${new Date().toISOString()} ${kind}${message ? `, ${message}` : ''}`);
    return undefined;
  } finally {
    requests++;
    if (!between) slowest = Math.max(slowest, (performance.now() - started) / 1000);
  }
}

/** One connection, kept as long as the other side keeps it: something to read and an order, by turns. */
async function client(index: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const headers = { Host: host, 'CF-Connecting-IP': addressOf(0, index) };
  // Not all at once.
  await pause((index * READING) / visit.clients);
  let started = performance.now();
  for (let turn = index; !stopping; turn++) {
    const before = started;
    started = performance.now();
    // Counted from the request before, whose answer came no earlier than that.
    if (started - before > IDLE) agent.destroy();
    if (turn % 2) {
      const id = randomUUID();
      const body = JSON.stringify({ id });
      const type = { 'Content-Type': 'application/json', 'Content-Length': body.length };
      const order = { agent, method: 'POST', path: '/api/v1/orders?ms=20', headers: { ...headers, ...type } };
      const answer = await ask('POST order', 201, order, [body]);
      (answer === undefined ? unanswered : placed).push(id);
    } else {
      const path = turn % 4 ? `/api/v1/slow?ms=20&of=${index}` : `/api/v1/whoami?of=${index}`;
      await ask('GET', 200, { agent, path, headers });
    }
    await pause(turn % 50 ? Math.max(0, PACE - (performance.now() - started)) : READING);
  }
  agent.destroy();
}

/** A file over a slow line, again and again. @returns how many arrived as they were sent */
async function uploader(index: number): Promise<number> {
  let arrived = 0;
  for (; !stopping; await pause(PACE)) {
    const chunks = Array.from({ length: UPLOAD.chunks }, () => randomBytes(UPLOAD.bytes));
    const headers = {
      Host: host,
      'CF-Connecting-IP': addressOf(1, index),
      'Content-Length': UPLOAD.chunks * UPLOAD.bytes,
    };
    const options = { agent: false, method: 'POST', path: uploadPath, headers };
    const answer = await ask('upload', 201, options, chunks, UPLOAD.pause);
    if (answer === undefined) continue;
    const sha256 = createHash('sha256').update(Buffer.concat(chunks)).digest('hex');
    if (JSON.parse(answer).sha256 === sha256) arrived++;
    else count(failures, 'upload: arrived as another file');
  }
  return arrived;
}

const lookup: LookupFunction = (_host, { all }, done) =>
  all ? done(null, [{ address: nginx, family: 4 }]) : done(null, nginx, 4);
const sockets: SocketClient[] = Array.from({ length: visit.sockets }, (_, index) => {
  const each = startSocketClient(`https://${host}`, {
    agent: new Agent({ lookup, ca }) as never,
    extraHeaders: { 'CF-Connecting-IP': addressOf(2, index) },
  });
  each.socket.on('connect_error', ({ message }) =>
    count(stoodStill(performance.now() - CONNECTING) ? heldUpSockets : refused, message),
  );
  return each;
});
let reconnects = 0;
for (const { socket } of sockets) socket.io.on('reconnect', () => reconnects++);

/**
 * An event, and then another page: so there are sockets on instances that have come since.
 * @returns the numbers of its events, all of them acknowledged
 */
async function publisher(each: SocketClient, index: number): Promise<number[]> {
  const numbers: number[] = [];
  await pause((index * EVENTS) / visit.sockets);
  for (; !stopping; await pause(EVENTS)) {
    numbers.push(await each.publish(`from client ${index}`));
    each.socket.disconnect().connect();
    await each.catchUp();
  }
  return numbers;
}

/** Waits for what is on its way. @returns how many events did not reach a client */
async function missing(numbers: number[]): Promise<number> {
  const lost = () =>
    sockets.reduce((all, { seen }) => all + numbers.filter(number => !seen.has(number)).length, 0);
  const deadline = Date.now() + PATIENCE;
  while (lost() > 0 && Date.now() < deadline) await sleep(500);
  return lost();
}

// What was published before this crowd came is no loss to it.
await Promise.all(sockets.map(each => each.catchUp()));
process.stdin.resume().once('end', () => {
  stopping = true;
  stop.abort();
});
const telling = setInterval(() => console.log(requests), 500);
const [numbers, uploads] = await Promise.all([
  Promise.all(sockets.map(publisher)),
  Promise.all(Array.from({ length: visit.uploaders }, (_, index) => uploader(index))),
  Promise.all(Array.from({ length: visit.clients }, (_, index) => client(index))),
]);
clearInterval(telling);
const lost = await missing(numbers.flat());
const seen: Seen = {
  requests,
  failures,
  examples,
  heldUp,
  slowest,
  placed,
  unanswered,
  uploads: uploads.reduce((sum, each) => sum + each, 0),
  events: numbers.flat().length,
  lost,
  reconnects,
  refused,
  heldUpSockets,
};
process.stdout.write(`${JSON.stringify(seen)}\n`, () => process.exit());
