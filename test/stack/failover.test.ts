import { randomUUID } from 'node:crypto';
import { Agent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { json } from './lib/http.ts';
import { askPuppet, serverLines, startPuppet, upstreamIs, withUpstreams } from './lib/puppet.ts';
import { sharedStack } from './lib/shared.ts';
import { sql } from './lib/visitor.ts';

const stack = await sharedStack();
const cloudflare = await cloudflareBefore(stack);

const CLIENTS = 32;

/** How often each client asks in each of the three phases: before, while the instance is gone, after it is back. */
const OFTEN = 7;

interface Load {
  statuses: Record<string, number>;
  /** The orders that were answered with 201. */
  acknowledged: string[];
  /** The identifier of each request, which is its order's. */
  sent: string[];
  /** Resolves when each client has had so many more answers. */
  more: (answers: number) => Promise<void>;
  /** Resolves when all have their last answers. */
  end: () => Promise<void>;
}

/**
 * 32 clients, each on one connection that it keeps: readers that ask without pause within their limit, and writers
 * that place an order that takes the application a while.
 */
function load(kind: 'read' | 'write'): Load {
  const answers = Array.from({ length: CLIENTS }, () => 0);
  const statuses: Record<string, number> = {};
  const acknowledged: string[] = [];
  const sent: string[] = [];
  let over = false;
  const count = (what: string | number) => {
    statuses[what] = (statuses[what] ?? 0) + 1;
  };
  const one = async (index: number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const client = cloudflare.client();
    try {
      while (!over) {
        const id = randomUUID();
        const request =
          kind === 'read'
            ? cloudflare.ask(client, 'api', '/api/v1/slow?ms=20', { agent })
            : cloudflare.ask(client, 'api', '/api/v1/orders?ms=50', { agent, ...json({ id }) });
        sent.push(id);
        await request.then(
          ({ status }) => {
            count(status);
            if (status === 201) acknowledged.push(id);
          },
          error => count(error.code ?? error.message),
        );
        answers[index]!++;
        await sleep(110);
      }
    } finally {
      agent.destroy();
    }
  };
  const all = Promise.all(answers.map((_, index) => one(index)));
  return {
    statuses,
    acknowledged,
    sent,
    async more(wanted) {
      const goal = answers.map(had => had + wanted);
      await until(`${wanted} more answers for each client`, () =>
        answers.every((had, index) => had >= goal[index]!),
      );
    },
    async end() {
      over = true;
      await all;
    },
  };
}

/** Asks once, as a client that nobody was. @returns who answered */
async function answers(path = '/api/v1/health', agent?: Agent): Promise<unknown> {
  const { status, headers } = await cloudflare.ask(cloudflare.client(), 'api', path, { agent });
  assert.is(status, 200);
  return headers['x-instance'];
}

const isUsed = (instance: string) =>
  until(`${instance} gets requests`, async () => (await answers()) === instance);

test('an instance killed under load: no GET fails, no POST is sent twice; after its restart it is used again', async () => {
  const [reads, writes] = [load('read'), load('write')];
  const phase = () => Promise.all([reads.more(OFTEN), writes.more(OFTEN)]);
  await phase();
  await stack.docker('kill', stack.container('backend-2'));
  await phase();
  await stack.docker('start', stack.container('backend-2'));
  await isUsed('backend-2');
  await phase();
  await Promise.all([reads.end(), writes.end()]);

  assert.ok(reads.sent.length >= CLIENTS * 3 * OFTEN, `${reads.sent.length} reads`);
  assert.equal(reads.statuses, { 200: reads.sent.length });

  // A POST that was on its way to the killed instance is a 502, once; it is not tried again elsewhere.
  assert.ok(writes.sent.length >= CLIENTS * 3 * OFTEN, `${writes.sent.length} writes`);
  const failed = writes.statuses['502'] ?? 0;
  assert.equal(writes.statuses, { 201: writes.sent.length - failed, ...(failed > 0 ? { 502: failed } : {}) });
  assert.ok(failed <= CLIENTS, `${failed} writes failed`);
  const stored = new Map<string, number>();
  for (const id of (await sql(stack, 'SELECT id FROM orders')).split('\n'))
    stored.set(id, (stored.get(id) ?? 0) + 1);
  assert.equal(
    writes.sent.filter(id => stored.get(id)! > 1),
    [],
    'stored twice',
  );
  assert.equal(
    writes.acknowledged.filter(id => !stored.has(id)),
    [],
    'confirmed and not stored',
  );
  await stack.compose('up', '--detach', '--wait', '--no-recreate');
  console.log(`killed: ${JSON.stringify({ reads: reads.statuses, writes: writes.statuses })}`);
});

test('requests go to the instance that has fewest open', async () => {
  const puppet = await startPuppet(stack);
  // Each another one: the puppet's answers may be kept.
  const path = (query = '') => `/api/v1/whoami?of=${randomUUID()}${query}`;
  // On one connection: so Nginx is done with a request, and counts it no more, before it reads the next one.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  await withUpstreams(stack, { backend: serverLines([puppet, 'backend-1']) }, async () => {
    // Both get the first ones in turn; the backend answers, the puppet keeps its one.
    const held = async () => (await askPuppet(stack, puppet, '')).held as number;
    const open: Promise<unknown>[] = [];
    while ((await held()) === 0) {
      assert.ok(open.length < 10, 'it gets its turn');
      const answer = answers(path('&hold'));
      answer.catch(() => {}); // the error reaches the caller that awaits it
      open.push(answer);
      await Promise.race([answer, until('it is held', async () => (await held()) > 0)]);
    }
    const busy = [];
    for (let i = 0; i < 10; i++) busy.push(await answers(path(), agent));
    assert.equal(busy, Array(10).fill('backend-1'), 'while the other one is busy');
    assert.is(await held(), 1);
    await askPuppet(stack, puppet, 'release');
    await Promise.all(open);
    const idle = [];
    for (let i = 0; i < 10; i++) idle.push(await answers(path(), agent));
    assert.is(idle.filter(name => name === 'backend-1').length, 5, 'in turn while both are idle');
  }).finally(() => agent.destroy());
});

test('an eighth instance starts with one command, and gets requests by one line of the list', async () => {
  stack.atExit(['rm', '--force', stack.container('backend-8')]);
  await stack.compose('up', '--detach', '--wait', '--no-recreate', 'backend-8');
  const list = await upstreamIs(stack, 'backend', serverLines(['backend-1', 'backend-8']));
  try {
    const instances = await Promise.all(Array.from({ length: 10 }, () => answers()));
    assert.equal([...new Set(instances)].sort(), ['backend-1', 'backend-8']);
  } finally {
    await upstreamIs(stack, 'backend', list);
  }
});

test.run();
