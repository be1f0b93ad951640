/** Visitors of a stack while something is done to it, and what of theirs was lost by it. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { run } from '../../engine/process.ts';
import { until } from '../../support/core/world.ts';
import { type Cloudflare, cloudflareBefore } from './cloudflare.ts';
import type { Deployable } from './deployable.ts';
import { hostOf } from './http.ts';
import { ROOT, type Stack } from './stack.ts';
import { sql } from './visitor.ts';
import type { Seen, Visit } from './visitors.ts';

export interface Toll extends Omit<Seen, 'placed' | 'unanswered'> {
  /** Requests that ended while the work was done. */
  during: number;
  /** Orders that were answered with 201. */
  orders: number;
  /** Of these, those that are not in the database. */
  ordersLost: number;
  /** Orders that were sent once and are in the database more often. */
  ordersDoubled: number;
  /** Orders that a client was told nothing good of, and that are in the database. */
  ordersUntold: number;
  /** Requests that met an instance that was leaving, and that Nginx could still take to another. */
  secondTries: number;
}

const VISIT = { clients: 64, uploaders: 4, sockets: 200 };

/**
 * @returns a way to have visitors there while `work` is done, and until they have sent so many requests; `work` may ask
 *   how many it is by now
 */
export async function crowdsOf({ stack, application }: Pick<Deployable, 'stack' | 'application'>) {
  const cloudflare = await cloudflareBefore(stack);
  return async (requests: number, work: (sent: () => number) => Promise<void>): Promise<Toll> => {
    const since = new Date();
    const crowd = startCrowd(stack, cloudflare, application.uploadPath);
    let during = 0;
    try {
      await crowd.asked(1);
      const before = crowd.sent();
      await work(crowd.sent);
      during = crowd.sent() - before;
      await crowd.asked(requests);
    } catch (error) {
      await crowd.leave();
      throw error;
    }
    const seen = JSON.parse(await crowd.leave()) as Seen;
    const failed = Object.values(seen.failures).reduce((sum, each) => sum + each, 0);
    const tried = await secondTries(stack, since, seen.requests - failed - seen.heldUp);
    return { ...(await inDatabase(stack, seen)), during, secondTries: tried };
  };
}

function startCrowd(stack: Stack, { network, nginx }: Cloudflare, uploadPath: string) {
  const name = `${stack.app}-visitors`;
  stack.atExit(['rm', '--force', name]);
  const visit: Visit = { nginx, host: hostOf(stack, 'api'), ca: stack.ca, uploadPath, ...VISIT };
  const program = ['node', '/repository/test/stack/lib/visitors.ts', JSON.stringify(visit)];
  const place = ['--name', name, '--network', network, '--volume', `${ROOT}:/repository:ro`];
  const child = spawn(
    'docker',
    ['run', '--rm', '--interactive', ...place, stack.variables.BACKEND_IMAGE!, ...program],
    { env: stack.engine.env, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let last = '0';
  let over = false;
  createInterface(child.stdout).on('line', line => {
    last = line;
  });
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  void ended.then(() => {
    over = true;
  });
  return {
    sent: () => Number(last),
    asked: (requests: number) =>
      until(
        `visitors have sent ${requests} requests`,
        () => {
          if (over) throw new Error(`the visitors have left: ${last}`);
          return Number(last) >= requests;
        },
        900,
      ),
    /** @returns what they have to tell */
    async leave(): Promise<string> {
      child.stdin.end();
      await ended;
      return last;
    },
  };
}

/** A line of the access log of one of the crowd's requests that Nginx has passed on, whole. */
const PASSED_ON = '"client":"10\\.[01]\\..*"upstream":"[0-9.]+:[0-9]+[",]';
/** The same with two addresses instead of one. */
const TRIED_TWICE = '"client":"10\\.[01]\\..*"upstream":"[0-9.]+:[0-9]+, ';

/**
 * Nginx writes its log with a delay.
 *
 * @param answered how many requests must be in it
 * @throws when they do not come to be in it as these lines, and nobody can say what Nginx did
 */
async function secondTries(stack: Stack, since: Date, answered: number): Promise<number> {
  const count = async (pattern: string) => {
    const script = `docker logs --since "$1" "$2" 2>/dev/null | { grep -cE -- "$3" || [ $? = 1 ]; }`;
    const args = ['-o', 'pipefail', '-c', script, 'bash', since.toISOString(), stack.container('nginx')];
    return Number(await run('bash', [...args, pattern], { env: stack.engine.env }));
  };
  await until(
    `${answered} requests are in Nginx’s log`,
    async () => (await count(PASSED_ON)) >= answered,
    60,
  );
  return count(TRIED_TWICE);
}

/** Compares what clients were told with what is in the database. */
async function inDatabase(stack: Stack, { placed, unanswered, ...seen }: Seen) {
  const rows = new Map<string, number>();
  for (const id of (await sql(stack, 'SELECT id FROM orders')).split('\n'))
    rows.set(id, (rows.get(id) ?? 0) + 1);
  const among = (ids: string[], wanted: (count: number) => boolean) =>
    ids.filter(id => wanted(rows.get(id) ?? 0)).length;
  return {
    ...seen,
    orders: placed.length,
    ordersLost: among(placed, count => count === 0),
    ordersDoubled: among([...placed, ...unanswered], count => count > 1),
    ordersUntold: among(unanswered, count => count > 0),
  };
}
