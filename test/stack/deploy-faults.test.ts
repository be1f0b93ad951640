/**
 * Releases that fail after the first instance was replaced, and a deployment that is interrupted: they are rolled
 * back, and visitors see no failures but those of the new release itself. More cases are in
 * test/long/stack/deploy-faults.test.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import { assertAs, backendOf, told } from './lib/bad-release.ts';
import { clientsOf } from './lib/clients.ts';
import { assertDrained, assertEnded, containers, listed, serving } from './lib/deploy-state.ts';
import { startDeployable } from './lib/deployable.ts';
import { visited, whileVisited } from './lib/visitor.ts';

const d = await startDeployable({ SHUTDOWN_LINGER_MS: '300', DEPLOY_BAKE_SECONDS: '40' });
const { stack, application } = d;
await d.publish('v2');
await d.publish('crash-under-traffic');
await d.publish('errors-after-a-minute');
const v1 = await serving(stack);

test('a release that answers 500 while it is watched is rolled back', async () => {
  const { result: length, failures } = await visited(stack, async visitor => {
    const clients = await clientsOf(stack, 6);
    try {
      const run = await told(d, 'ERRORS_AFTER_SECONDS=86400\n', async () => {
        const started = d.start('deploy', backendOf('2.3.0'));
        await started.shows(/watching 2\.3\.0 for 40 s/, 300);
        return started;
      });
      for (const backend of ['backend-1', 'backend-2']) await stack.exec(backend, 'touch', '/tmp/fail-now');
      const ended = await run.ended;
      const before = visitor.failures.length;
      const why =
        /2\.3\.0 is worse than the previous release: \d+ of \d+ answers are 5xx .*clients: [3-9]; the previous release: 0\.0 %\)/;
      assertEnded(stack, ended, 1, 'rolled back', why);
      assertDrained(d, ended);
      await assertAs(d, v1);
      return before;
    } finally {
      await clients.leave(); // whatever failed: they would keep this process from ending
    }
  });
  assert.equal(failures.slice(length), []);
  assert.ok(length > 0);
  assert.equal(
    failures.filter(failure => !/ (GET|POST) \/api\/.*: 500$/.test(failure)),
    [],
    'what failed is what the new release answered',
  );
});

test('a release that crashes under traffic is rolled back before the last old instance is replaced', async () => {
  const of = async (name: string) => (await containers(stack)).find(line => line.includes(name));
  const old = await of('backend-2');
  const crashed = async () => !(await of('backend-1'))?.endsWith(' 0');
  const { result: length, failures } = await visited(stack, async visitor => {
    const ended = await told(d, 'CRASH_AFTER_REQUESTS=3\n', async () => {
      // However long its visitors take to crash it: until then the other one is being drained.
      const pause = d.pauseDocker(`backend-2:${application.backendPort}${application.metricsPath}`, 'before');
      const unwatched = { ...pause.env, DEPLOY_BAKE_SECONDS: '0' };
      const run = d.start('deploy', backendOf('2.2.0'), unwatched);
      await pause.reached(run);
      await until('it crashes', crashed);
      pause.go();
      return run.ended;
    });
    const before = visitor.failures.length;
    const why = /backend-1 failed while backend-2 was drained; backend-2 was not replaced/;
    assertEnded(stack, ended, 1, 'rolled back', why);
    assertDrained(d, ended);
    assert.is(await of('backend-2'), old);
    await assertAs(d, v1);
    return before;
  });
  assert.equal(failures.slice(length), [], 'once it is taken back nothing fails');
  // While the new instance was alone it crashed, which is 502 until it was there again.
  assert.equal(
    failures.filter(failure => !/ \/api\/.*: 50[24]$/.test(failure)),
    [],
  );
});

test('SIGINT in the middle rolls it back', async () => {
  const ended = await whileVisited(stack, async () => {
    const pause = d.pauseDocker('http_requests_in_flight', 'before');
    const run = d.start('deploy', backendOf('2.0.0'), pause.env);
    await pause.reached(run);
    assert.equal(listed(stack), ['backend-2']);
    run.child.kill('SIGINT');
    pause.go();
    return run.ended;
  });
  assertEnded(stack, ended, 130, 'rolled back', /interrupted by SIGINT/);
  await assertAs(d, v1);
});

test.run();
