import { randomUUID } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cloudflareBefore } from './lib/cloudflare.ts';
import { http2Client } from './lib/http2-client.ts';
import { reload } from './lib/puppet.ts';
import { sharedStack } from './lib/shared.ts';
import { sql } from './lib/visitor.ts';

const stack = await sharedStack();
const cloudflare = await cloudflareBefore(stack);

const CLIENTS = 4;
const RELOADS = 40;

test('a reload refuses requests of HTTP/2 before it looks at them: who repeats them places each order once', async () => {
  const outcomes: Record<string, number> = {};
  const orders: string[] = [];
  let stopped = false;

  /** Half of the clients keep their connection; the others open one for each order. */
  const client = async (_: unknown, index: number) => {
    let connection = await http2Client(stack, cloudflare);
    while (!stopped) {
      const id = randomUUID();
      for (let outcome: unknown = 'refused'; outcome === 'refused'; ) {
        if (index % 2 === 0 || !connection.isOpen()) {
          connection.close();
          connection = await http2Client(stack, cloudflare);
        }
        outcome = await connection.post('/api/v1/orders?ms=20', { id });
        outcomes[`${outcome}`] = (outcomes[`${outcome}`] ?? 0) + 1;
      }
      orders.push(id);
    }
    connection.close();
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, client));
  const reloads = (async () => {
    try {
      for (let i = 0; i < RELOADS && !(i >= 3 && outcomes.refused); i++) await reload(stack);
    } finally {
      stopped = true;
    }
  })();
  await Promise.all([clients, reloads]);

  console.log(`» ${JSON.stringify(outcomes)}`);
  const { refused, ...others } = outcomes;
  assert.equal(others, { 201: orders.length }, 'every order is confirmed, if not the first time');
  assert.ok(
    refused,
    `nothing was refused in ${RELOADS} reloads: is that still so? PRODUCTION_INFRASTRUCTURE.md says it`,
  );
  const list = orders.map(id => `'${id}'`).join();
  const stored = await sql(stack, `SELECT count(*), count(DISTINCT id) FROM orders WHERE id IN (${list})`);
  assert.equal(stored.split('|').map(Number), [orders.length, orders.length]);
});

test.run();
