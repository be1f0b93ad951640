/**
 * Looks on while a stack starts, from where Nginx is: a program in a container on the backends' network, which asks each
 * backend whether it is ready, and asks Nginx for the API, for Socket.IO and for the site as visitors do. `onlookers.ts`
 * starts it.
 *
 * Its argument is `View` as JSON. It prints a line of JSON for each `Sight`; when its standard input ends, it
 * waits for the answers that are due and ends.
 */
import { Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent, request } from 'node:https';

export interface View {
  /** Names of the API and of the site. */
  api: string;
  site: string;
  ca: string;
  backends: string[];
  /** Whether requests are sent to Nginx all the time, or one a second. */
  visitors: boolean;
}

/** What was seen. Times are milliseconds since 1970, by the machine's one clock. */
export type Sight =
  /** `backend` was found ready, or no longer so. */
  | { backend: string; ready: boolean; at: number }
  /** A request to Nginx: the status, or the error's code. */
  | { what: string; started: number; ended: number; status: number | string };

const { api, site, ca, backends, visitors } = JSON.parse(process.argv[2]!) as View;

const show = (sight: Sight) => console.log(JSON.stringify(sight));
const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

let stopping = false;
process.stdin.resume().once('end', () => {
  stopping = true;
});

async function watch(backend: string): Promise<void> {
  const agent = new PlainAgent({ keepAlive: false });
  let before = false;
  while (!stopping) {
    const ready = await new Promise<boolean>(resolve => {
      const asked = plainRequest({
        host: backend,
        port: 3000,
        path: '/api/v1/health/ready',
        agent,
        timeout: 1000,
      });
      asked.once('response', response => {
        response.resume();
        response.once('close', () => resolve(response.statusCode === 200));
      });
      asked.once('timeout', () => asked.destroy(new Error('no answer')));
      asked.once('error', () => resolve(false));
      asked.end();
    });
    if (ready !== before) show({ backend, ready, at: Date.now() });
    before = ready;
    await pause(ready ? 100 : 25);
  }
}

/** Sends a request each `PACE`, whether or not the one before has been answered: a visitor waits for nobody else. */
const PACE = visitors ? 110 : 1000;
const KINDS = [
  { what: 'GET api', host: api, path: '/api/v1/health' },
  { what: 'POST api', host: api, path: '/api/v1/jobs', body: '{"ms":0}' },
  { what: 'socket', host: api, path: '/socket.io/?EIO=4&transport=polling' },
  { what: 'GET site', host: site, path: '/' },
];

async function visit(): Promise<void> {
  const open = new Set<Promise<void>>();
  const agent = new Agent({ keepAlive: true });
  for (let turn = 0; !stopping; turn++, await pause(PACE)) {
    // The API's limit is one request each 100 ms, whatever its kind.
    for (const kind of [KINDS[turn % 2]!, KINDS[2]!, KINDS[3]!]) {
      const one = ask(kind, agent).finally(() => open.delete(one));
      open.add(one);
    }
  }
  await Promise.all(open);
  agent.destroy();
}

function ask({ what, host, path, body }: (typeof KINDS)[number], agent: Agent): Promise<void> {
  const started = Date.now();
  return new Promise(resolve => {
    const end = (status: number | string) => {
      show({ what, started, ended: Date.now(), status });
      resolve();
    };
    const asked = request({
      host: 'nginx',
      servername: host,
      ca,
      rejectUnauthorized: ca !== '',
      path,
      agent,
      method: body ? 'POST' : 'GET',
      timeout: 60_000,
      headers: { Host: host, ...(body && { 'Content-Type': 'application/json', 'Content-Length': body.length }) },
    });
    asked.once('response', response => {
      response.resume();
      response.once('close', () => end(response.statusCode!));
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer')));
    asked.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    asked.end(body);
  });
}

await Promise.all([...backends.map(watch), visit()]);
