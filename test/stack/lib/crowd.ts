/** Visitors of a stack while something is done to it, and what of theirs was lost by it. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../engine/process.ts';
import { until } from '../../support/world.ts';
import { type Cloudflare, cloudflareBefore } from './cloudflare.ts';
import { hostOf } from './http.ts';
import { ROOT, type Stack } from './stack.ts';
import { sql } from './visitor.ts';
import type { Seen, Visit } from './visitors.ts';

export interface Toll extends Omit<Seen, 'placed' | 'unanswered'> {
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

/** @returns a way to have visitors there while `work` is done, and until they have sent so many requests */
export async function crowdsOf(stack: Stack) {
  const cloudflare = await cloudflareBefore(stack);
  return async (requests: number, work: () => Promise<void>): Promise<Toll> => {
    const since = new Date();
    const crowd = startCrowd(stack, cloudflare);
    try {
      await crowd.asked(1);
      await work();
      await crowd.asked(requests);
    } catch (error) {
      await crowd.leave();
      throw error;
    }
    const seen = JSON.parse(await crowd.leave()) as Seen;
    return { ...(await inDatabase(stack, seen)), secondTries: await secondTries(stack, since) };
  };
}

function startCrowd(stack: Stack, { network, nginx }: Cloudflare) {
  const name = `${stack.app}-visitors`;
  stack.atExit(['rm', '--force', name]);
  const visit: Visit = { nginx, host: hostOf(stack, 'api'), ca: stack.ca, ...VISIT };
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

/** Nginx writes its log with a delay of up to 5 s. */
async function secondTries(stack: Stack, since: Date): Promise<number> {
  await sleep(6_000);
  // Two addresses in the place of one.
  const script = `docker logs --since "$1" "$2" 2>/dev/null | { grep -c '"upstream":"[^"]*, ' || true; }`;
  const args = ['-o', 'pipefail', '-c', script, 'bash', since.toISOString(), stack.container('nginx')];
  return Number(await run('bash', args, { env: stack.engine.env }));
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
