/**
 * Deployments while both cores of the machine are busy: a good release stays, each time, and each kind of bad release is
 * rolled back, each time. DEPLOY_BUSY_TIMES=20 repeats all of it 20 times.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backendOf, told } from '../../stack/lib/bad-release.ts';
import { type Clients, clientsOf } from '../../stack/lib/clients.ts';
import { assertEnded, assertHealthy, serving } from '../../stack/lib/deploy-state.ts';
import { startDeployable } from '../../stack/lib/deployable.ts';
import { whileVisited } from '../../stack/lib/visitor.ts';

const TIMES = Number(process.env.DEPLOY_BUSY_TIMES ?? 0);
const GOOD = TIMES || 1;
const BAD = TIMES || 1;

const d = await startDeployable({
  SHUTDOWN_LINGER_MS: '300',
  DEPLOY_READY_TIMEOUT: '120s',
  DEPLOY_BAKE_SECONDS: '30',
});
const { stack } = d;
await d.publish('v2');
await d.publish('faulty');
const from = await serving(stack);

/** Runs `body` with as many loops as there are cores, and clients who read. */
async function whileBusy<T>(body: (clients: Clients) => Promise<T>): Promise<T> {
  const loops = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  );
  const clients = await clientsOf(stack, 8);
  try {
    return await body(clients);
  } finally {
    await clients.leave();
    for (const loop of loops) loop.kill('SIGKILL');
  }
}

for (let time = 1; time <= GOOD; time++) {
  test(`a good release stays (${time} of ${GOOD})`, () =>
    whileBusy(async clients => {
      const [tag, frontend] = time % 2 === 1 ? ['2.0.0', '2.0.0'] : ['1.0.0', '1.0.0'];
      const ended = await whileVisited(stack, () =>
        d.run('deploy', [tag, frontend, ...backendOf(tag).slice(2)]),
      );
      assertEnded(
        stack,
        ended,
        0,
        'done',
        /comparing .* both serve/,
        /is no worse than the previous release/,
      );
      assert.equal(clients.failures, []);
    }));
}

test('the first release serves again', async () => {
  const ended = await d.run('deploy', ['1.0.0', '1.0.0', ...backendOf('').slice(2)], {
    DEPLOY_BAKE_SECONDS: '0',
  });
  assert.is(ended.code, 0, ended.stderr);
  await assertHealthy(d);
});

for (const [name, variables, why, bake] of [
  ['fails for 20 %', 'FAULT_ERRORS_PERCENT=20', /answers are 5xx/, '30'],
  ['is slow', 'FAULT_SLOW_MS=3000', /answers take more than/, '30'],
  [
    'crashes after 20 s',
    'FAULT_CRASH_SECONDS=20',
    /backend-1 (has restarted|has ended|ended soon|failed while)|critical since the deployment: backend-1/,
    '30',
  ],
  [
    'is not ready after a minute',
    'FAULT_UNREADY_SECONDS=60',
    /is not ready, 3 times in a row|canary failed|failed while|critical since the deployment: backend-1/,
    '60',
  ],
] as const) {
  for (let time = 1; time <= BAD; time++) {
    test(`a release that ${name} is rolled back (${time} of ${BAD})`, () =>
      whileBusy(async () => {
        const ended = await told(d, `${variables}\n`, () =>
          d.run('deploy', backendOf('2.6.0'), { DEPLOY_BAKE_SECONDS: bake }),
        );
        assertEnded(stack, ended, 1, 'rolled back', why);
        const { containers, upstreams } = await serving(stack);
        assert.equal({ containers, upstreams }, { containers: from.containers, upstreams: from.upstreams });
        await assertHealthy(d);
      }));
  }
}

test.run();
