/** The same as `test/stack/startup.test.ts`, many times and in many orders, with an order of chance among them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  assertPrompt,
  BACKENDS,
  createStack,
  killAll,
  onlookersOf,
  SERVICES,
  startElsewhere,
  startInOrder,
} from '../../stack/lib/startup.ts';

const TIMES = 6;
const stack = await createStack();
const watched = await onlookersOf(stack);
const up = () => stack.compose('up', '--detach', '--wait', '--wait-timeout', '180', '--no-recreate');

/**
 * Every time is counted before the test fails. One sample decides nothing: on a busy machine Nginx itself may wait for
 * a processor. A time that fails is tried twice more, and must pass both times.
 */
async function times(what: string, once: (turn: number) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (let turn = 1; turn <= TIMES; turn++) {
    const passes = await once(turn).then(
      () => true,
      error => console.log(`${what}, ${turn}: ${error.message}; twice more`),
    );
    if (passes) continue;
    for (let again = 1; again <= 2; again++)
      await once(turn).catch(error => failures.push(`${what}, ${turn}, again: ${error.message}`));
  }
  assert.equal(failures, []);
}

test('`up --wait` of containers that are new, with and without the stores running', () =>
  times('up', async turn => {
    if (turn > 1) {
      const gone = turn % 2 ? SERVICES.slice(2) : SERVICES;
      await stack.compose('rm', '--stop', '--force', ...gone);
      await stack.compose('up', '--no-start', '--no-recreate');
    }
    const start = await watched({ start: up });
    assertPrompt(start, `up, ${turn}`);
    assert.equal(start.failedAfter, []);
  }));

for (const [how, again] of [
  ['restarted', ['restart']],
  ['killed and started', ['kill', 'start']],
] as const)
  test(`Nginx ${how}`, () =>
    times(how, async turn => {
      const start = await watched({
        start: async () => {
          for (const command of again) await stack.docker(command, stack.container('nginx'));
        },
      });
      assertPrompt(start, `Nginx ${how}, ${turn}`);
    }));

test('an instance that comes back at another address', () =>
  times('instance', async turn => {
    const service = BACKENDS[turn % 2]!;
    assertPrompt(await watched({ start: () => startElsewhere(stack, service) }), `${service}, ${turn}`);
  }));

const ORDERS: Record<string, () => string[][]> = {
  'all at once': () => [SERVICES],
  'Nginx first, the stores last': () => [
    ['nginx', 'frontend'],
    BACKENDS.toReversed(),
    ['redis'],
    ['postgres'],
  ],
  'the stores first, Nginx last': () => [['postgres', 'redis'], BACKENDS, ['frontend'], ['nginx']],
  'backends first, PostgreSQL last': () => [BACKENDS, ['nginx', 'redis', 'frontend'], ['postgres']],
  'one by one, by chance': () => SERVICES.toSorted(() => Math.random() - 0.5).map(service => [service]),
};
for (const [name, order] of Object.entries(ORDERS))
  test(`a start after all was killed: ${name}`, () =>
    times(name, async turn => {
      const groups = order();
      const start = await watched({
        stop: () => killAll(stack),
        start: () => startInOrder(stack, groups),
      });
      assertPrompt(start, `${groups.flat().join(' ')}, ${turn}`);
    }));

test('a start after all was killed: the backends seconds after Nginx', () =>
  times('late backends', async turn => {
    const start = await watched({
      stop: () => killAll(stack),
      start: async () => {
        await startInOrder(stack, [['nginx', 'frontend', 'postgres', 'redis']]);
        // Each time at another moment between two of Nginx's lookups.
        await sleep(3_000 + turn * 350);
        await startInOrder(stack, [BACKENDS]);
      },
    });
    assertPrompt(start, `late backends, ${turn}`);
    assert.ok(
      start.before.some(({ status }) => status === 502),
      'visitors were there, and nobody for them',
    );
  }));

test.run();
