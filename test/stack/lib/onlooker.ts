/**
 * Looks on while a stack starts, from where Nginx is: in a container on the backends' network, it asks each backend
 * whether it is ready, and asks Nginx for the API, for Socket.IO and for the site as visitors do. `startup.ts` starts it.
 *
 * Its argument is `View` as JSON. It prints each `Sight` as a line of JSON. When its standard input ends, it waits for the
 * answers that are due, and ends.
 */
import { request as plainRequest } from 'node:http';
import { Agent, request } from 'node:https';

export interface View {
  /** The names of the API and of the site. */
  api: string;
  site: string;
  backends: string[];
}

/** A request to Nginx. Times are milliseconds since 1970, by the machine's one clock. */
export interface Request {
  what: string;
  started: number;
  ended: number;
  /** The answer's status, or the error's code. */
  status: number | string;
  /** Milliseconds by which it was sent later than planned, for want of a processor. */
  delay: number;
}

/** That a backend was found ready, or found so no longer. */
export interface Readiness {
  backend: string;
  ready: boolean;
  at: number;
}

export type Sight = Request | Readiness;

const { api, site, backends } = JSON.parse(process.argv[2]!) as View;

/** Milliseconds from one request to the next of its kind: the limit of one client is one each 100. */
const PACE = 110;
const KINDS = [
  { what: 'GET', host: api, path: '/api/v1/health' },
  { what: 'POST', host: api, path: '/api/v1/jobs', body: '{"ms":0}' },
  { what: 'socket', host: api, path: '/socket.io/?EIO=4&transport=polling' },
  { what: 'site', host: site, path: '/' },
] as const;

const show = (sight: Sight) => console.log(JSON.stringify(sight));
const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

let stopping = false;
process.stdin.resume().once('end', () => {
  stopping = true;
});

async function watch(backend: string): Promise<void> {
  for (let before = false; !stopping; await pause(before ? 100 : 25)) {
    const ready = await isReady(backend);
    if (ready !== before) show({ backend, ready, at: Date.now() });
    before = ready;
  }
}

function isReady(host: string): Promise<boolean> {
  return new Promise(resolve => {
    const options = { host, port: 3000, path: '/api/v1/health/ready', agent: false, timeout: 1_000 };
    const asked = plainRequest(options, response => {
      response.resume().once('close', () => resolve(response.statusCode === 200));
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer')));
    asked.once('error', () => resolve(false));
    asked.end();
  });
}

/** Asks at a steady pace, whether or not the requests before have been answered: no visitor waits for another. */
async function visit(): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const open = new Set<Promise<void>>();
  let due = Date.now();
  for (let turn = 0; !stopping; turn++) {
    const delay = Math.max(0, Date.now() - due);
    // The API's two kinds by turns: they have one limit.
    for (const kind of [KINDS[turn % 2]!, KINDS[2], KINDS[3]]) {
      const one = ask(kind, agent, delay).finally(() => open.delete(one));
      open.add(one);
    }
    due = Date.now() + PACE;
    await pause(PACE);
  }
  await Promise.all(open);
  agent.destroy();
}

function ask(kind: (typeof KINDS)[number], agent: Agent, delay: number): Promise<void> {
  const { what, host, path } = kind;
  const body = 'body' in kind ? kind.body : undefined;
  const started = Date.now();
  return new Promise(resolve => {
    const end = (status: number | string) => {
      show({ what, started, ended: Date.now(), status, delay });
      resolve();
    };
    const asked = request({
      // At its first start Nginx makes a certificate that nobody knows yet.
      rejectUnauthorized: false,
      host: 'nginx',
      servername: host,
      path,
      agent,
      timeout: 60_000,
      method: body ? 'POST' : 'GET',
      headers: { Host: host, ...(body && { 'Content-Type': 'application/json' }) },
    });
    asked.once('response', response => {
      response.resume().once('close', () => end(response.statusCode!));
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer')));
    asked.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    asked.end(body);
  });
}

await Promise.all([...backends.map(watch), visit()]);
