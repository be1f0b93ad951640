/** A stack of the application that keeps none of the contract's defaults, and requests that last. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import * as assert from 'uvu/assert';
import { OTHER } from '../../support/app/app-images.ts';
import { type Deployable, startDeployable } from './deployable.ts';
import { type Answer, ask, json } from './http.ts';
import type { Stack } from './stack.ts';
import { whileVisited } from './visitor.ts';

/** The password of its pages for administrators, and who may send it. */
export const ADMIN = 'a password';
const ALLOWED = '203.0.113.7,198.51.100.0/24,2001:db8:7::/48';

export const startOther = (): Promise<Deployable> =>
  startDeployable(
    {
      ADMIN_PATHS: '/admin/queues',
      ADMIN_ALLOW: ALLOWED,
      ADMIN_HASHED_PASSWORD: execFileSync('openssl', ['passwd', '-6', '-stdin'], {
        input: ADMIN,
        encoding: 'utf8',
      }).trim(),
      DEPLOY_ENV: 'production',
      DEPLOY_BAKE_SECONDS: '2',
      // It accepts nothing more when it is stopped, and gives up what is open after a second: only the drain can save that.
      SHUTDOWN_LINGER_MS: '0',
      SHUTDOWN_TIMEOUT_MS: '1000',
    },
    { application: OTHER },
  );

/** Milliseconds: longer than the drain waits for Nginx's old workers, and shorter than Nginx waits for an answer. */
const SLOW = 9_000;

/**
 * Runs `body` while a visitor uses the site.
 *
 * @param body gets a function that opens orders at once, which Nginx spreads over the instances and never sends twice: two, or
 *   the number that it is called with
 * @throws unless all of these are answered, too
 */
export async function whileSlow<T>(
  stack: Stack,
  body: (slow: (count?: number) => void) => Promise<T>,
): Promise<T> {
  const rounds: Promise<Answer[]>[] = [];
  const slow = (count = 2) => {
    const one = () => ask(stack, 'api', `/api/v1/orders?ms=${SLOW}`, json({ id: randomUUID() }));
    const round = Promise.all(Array.from({ length: count }, one));
    round.catch(() => {}); // thrown below
    rounds.push(round);
  };
  const result = await whileVisited(stack, () => body(slow));
  assert.ok(rounds.length > 0);
  const answers = (await Promise.all(rounds)).flat();
  assert.equal(
    answers.map(({ status }) => status),
    answers.map(() => 201),
  );
  // Of one round, two can meet at an instance: what other visitors have open there counts, too.
  assert.ok(new Set(answers.map(({ headers }) => headers['x-instance'])).size > 1);
  return result;
}
