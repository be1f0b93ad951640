import { randomUUID } from 'node:crypto';
import { Agent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { json } from './lib/http.ts';
import { startStack } from './lib/stack.ts';
import { sql } from './lib/visitor.ts';

const stack = await startStack();
const cloudflare = await cloudflareBefore(stack);

const CLIENTS = 32;

interface Outcome {
  statuses: Record<string, number>;
  /** The orders that were answered with 201. */
  acknowledged: string[];
  sent: number;
}

/**
 * 32 clients at addresses of their own, each on one connection that it keeps: readers that ask without pause within
 * their limit, and writers that place an order that takes the application a while.
 */
function load(kind: 'read' | 'write', until: () => boolean): Promise<Outcome> {
  const outcome: Outcome = { statuses: {}, acknowledged: [], sent: 0 };
  const count = (what: string | number) => {
    outcome.statuses[what] = (outcome.statuses[what] ?? 0) + 1;
  };
  const one = async (index: number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const client = `198.51.100.${index + (kind === 'read' ? 1 : 101)}`;
    try {
      while (!until()) {
        const id = randomUUID();
        const request =
          kind === 'read'
            ? cloudflare.ask(client, 'api', '/api/v1/slow?ms=20', { agent })
            : cloudflare.ask(client, 'api', '/api/v1/orders?ms=50', { agent, ...json({ id }) });
        outcome.sent++;
        await request.then(
          ({ status }) => {
            count(status);
            if (status === 201) outcome.acknowledged.push(id);
          },
          error => count(error.code ?? error.message),
        );
        await sleep(110);
      }
    } finally {
      agent.destroy();
    }
  };
  return Promise.all(Array.from({ length: CLIENTS }, (_, i) => one(i))).then(() => outcome);
}

test('an instance killed under load: no GET fails, and no POST is sent twice', async () => {
  let over = false;
  const traffic = Promise.all([load('read', () => over), load('write', () => over)]);
  await sleep(2000);
  await stack.docker('kill', stack.container('backend-2'));
  await sleep(6000);
  await stack.docker('start', stack.container('backend-2'));
  await sleep(4000);
  over = true;
  const [reads, writes] = await traffic;

  assert.ok(reads.sent > CLIENTS * 20, `${reads.sent} reads`);
  assert.equal(reads.statuses, { 200: reads.sent });

  // A POST that was on its way to the killed instance is a 502, once; it is not tried again elsewhere.
  assert.ok(writes.sent > CLIENTS * 20, `${writes.sent} writes`);
  const failed = writes.statuses['502'] ?? 0;
  assert.equal(writes.statuses, { 201: writes.sent - failed, ...(failed > 0 ? { 502: failed } : {}) });
  assert.ok(failed <= CLIENTS, `${failed} writes failed`);
  assert.is(
    await sql(stack, 'SELECT count(*) FROM (SELECT FROM orders GROUP BY id HAVING count(*) > 1) AS doubled'),
    '0',
  );
  const stored = new Set((await sql(stack, 'SELECT id FROM orders')).split('\n'));
  assert.equal(
    writes.acknowledged.filter(id => !stored.has(id)),
    [],
  );
  console.log(`killed: ${JSON.stringify({ reads: reads.statuses, writes: writes.statuses })}`);
});

test('the instance that came back is used again', async () => {
  for (let tries = 0; tries < 60; tries++) {
    const { headers } = await cloudflare.ask(`203.0.113.${tries}`, 'api', '/api/v1/health');
    if (headers['x-instance'] === 'backend-2') return;
    await sleep(250);
  }
  assert.unreachable('backend-2 gets no requests');
});

test('requests go to the instance that has fewest open', async () => {
  // Long requests of one client, in turn, fill both alike; what comes while one is busy goes to the other.
  const busy = Array.from({ length: 10 }, (_, i) =>
    cloudflare.ask(`203.0.113.${100 + i}`, 'api', '/api/v1/slow?ms=3000'),
  );
  const instances = (await Promise.all(busy)).map(({ headers }) => headers['x-instance']);
  const first = instances.filter(name => name === 'backend-1').length;
  assert.ok(first >= 4 && first <= 6, `${first} of 10 to backend-1`);
});

test('an eighth instance is a command away, and a list away from its requests', async () => {
  await stack.compose('up', '--detach', '--wait', '--no-recreate', 'backend-8');
  const ready = await stack.exec(
    'nginx',
    'curl',
    '-fsS',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    'http://backend-8:3000/api/v1/health/ready',
  );
  assert.is(ready.stdout, '200');
});

test.run();
