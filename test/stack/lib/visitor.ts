/** A visitor who uses the site all the time: reads and orders through Nginx, each request on a connection of its own. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import * as assert from 'uvu/assert';
import { attempt } from '../../engine/process.ts';
import { until } from '../../support/core/world.ts';
import { type Answer, ask, json } from './http.ts';
import type { Stack } from './stack.ts';

export interface Visitor {
  /** What did not go well so far: `2026-01-31T02:00:07.000Z POST /api/v1/orders: 502`. */
  failures: string[];
  /** Orders that were confirmed so far. */
  ordered: () => number;
  /**
   * Ends, after one request more of each kind that is answered.
   * @throws unless each confirmed order is in the database once
   */
  leave: () => Promise<void>;
}

/** Far enough below Nginx's limit of one client, which the canary shares: both come from this machine. */
const PAUSE = 400;

/** For a test of several parts; the others use {@link whileVisited}. */
export function startVisitor(stack: Stack): Visitor {
  const failures: string[] = [];
  const orders: string[] = [];
  let leaving = false;

  const fail = (what: string, why: unknown) => failures.push(`${new Date().toISOString()} ${what}: ${why}`);

  const turn = async (what: string, send: () => Promise<Answer>, expected: number) => {
    do {
      try {
        const { status } = await send();
        if (status !== expected) fail(what, status);
      } catch (error) {
        fail(what, error);
      }
      await new Promise(resolve => setTimeout(resolve, PAUSE));
    } while (!leaving);
  };
  const order = async () => {
    const id = randomUUID();
    const answer = await ask(stack, 'api', '/api/v1/orders', json({ id }));
    if (answer.status === 201) orders.push(id);
    return answer;
  };
  const running = Promise.all([
    turn('GET /api/v1/whoami', () => ask(stack, 'api', '/api/v1/whoami'), 200),
    turn('POST /api/v1/orders', order, 201),
    turn('GET /', () => ask(stack, 'site', '/'), 200),
  ]);
  return {
    failures,
    ordered: () => orders.length,
    leave: async () => {
      leaving = true;
      await running;
      const list = orders.map(id => `'${id}'`).join();
      const rows = await sql(stack, `SELECT count(*), count(DISTINCT id) FROM orders WHERE id IN (${list})`);
      assert.is(rows, `${orders.length}|${orders.length}`, 'each confirmed order is there, once');
    },
  };
}

/** Runs `body` while a visitor uses the site. @throws if one of the requests failed */
export async function whileVisited<T>(stack: Stack, body: (visitor: Visitor) => Promise<T>): Promise<T> {
  const { result, failures } = await visited(stack, body);
  if (failures.length > 0) throw new Error(await explained(stack, failures));
  return result;
}

/** The same where requests may fail. @returns those that have */
export async function visited<T>(
  stack: Stack,
  body: (visitor: Visitor) => Promise<T>,
): Promise<{ result: T; failures: string[] }> {
  const visitor = startVisitor(stack);
  try {
    const result = await body(visitor);
    await visitor.leave();
    return { result, failures: visitor.failures };
  } finally {
    await visitor.leave().catch(() => {}); // what failed in `body` matters more
  }
}

/** What failed, and what Nginx says of it. */
export async function explained(stack: Stack, failures: string[]): Promise<string> {
  const { stdout, stderr } = await attempt('docker', ['logs', stack.container('nginx')], {
    env: stack.engine.env,
  });
  const errors = (stdout + stderr).split('\n').filter(line => line.includes('[error]'));
  return `requests failed:\n${failures.join('\n')}\nNginx’s last errors:\n${errors.slice(-20).join('\n')}`;
}

function psqlOf({ variables: { POSTGRES_USER, POSTGRES_DB } }: Stack): string[] {
  return ['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-U', POSTGRES_USER!, '-d', POSTGRES_DB!];
}

/** Runs SQL in the stack's database. @returns the rows, one a line, columns separated by | */
export async function sql(stack: Stack, text: string): Promise<string> {
  const { code, stdout, stderr } = await stack.exec('postgres', ...psqlOf(stack), '-c', text);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

/**
 * Takes a lock that visitors do not feel and a migration of the orders waits for; and then everybody waits for the
 * migration.
 * @returns what lets go of it
 */
export async function lockOrders(stack: Stack): Promise<() => void> {
  const exec = ['exec', '-i', '-e', 'PGAPPNAME=blocker', stack.container('postgres')];
  const blocker = spawn('docker', [...exec, ...psqlOf(stack)], {
    env: stack.engine.env,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  blocker.stdin.write('BEGIN; LOCK TABLE orders IN ROW EXCLUSIVE MODE;\n');
  const held =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'blocker' AND xact_start < now()";
  await until('the lock is held', async () => (await sql(stack, held)) === '1');
  return () => void (blocker.stdin.writable && blocker.stdin.end('ROLLBACK;\n'));
}

/** What `prisma migrate resolve --rolled-back` does, after a migration that failed. */
export const markRolledBack = (stack: Stack) =>
  sql(stack, 'UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL');
