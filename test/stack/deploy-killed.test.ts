/**
 * deploy.ts ended by kill -9, as by a power loss, at some of its steps: the instances keep serving, the next run says where
 * it stopped, and `--revert` and `--resume` finish from there, also when they are killed themselves.
 * The other steps are in test/long/stack/deploy-killed.test.ts, and each change, with a model in the place of the engine, in
 * test/integration/deploy-steps.test.ts.
 */
import { globSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import {
  assertHealthy,
  assertNothingLeft,
  assertServing,
  listed,
  releases,
  serving,
  sessions,
} from './lib/deploy-state.ts';
import { startDeployable, UNSAVED } from './lib/deployable.ts';
import { assertRefused, killAt, killDeployment, revert, standsIn } from './lib/interrupted.ts';
import { lockOrders, markRolledBack, sql, whileVisited } from './lib/visitor.ts';

const d = await startDeployable({ SHUTDOWN_LINGER_MS: '300' });
const { stack } = d;

const v1 = await serving(stack);
await d.publish('v2');
const v3 = await d.publish('contracting-migration');

test('killed while a migration waits: the migration ends, too', () =>
  whileVisited(stack, async () => {
    const letGo = await lockOrders(stack);
    try {
      const waits =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'neurmatic-migrate' AND wait_event_type = 'Lock'";
      await killDeployment(d, async () => (await sql(stack, waits)) !== '0', ['2.0.0', ...UNSAVED]);
      await until('its session is over', async () => (await sessions(stack)) === '0');
      await assertRefused(d, 'migrate');
    } finally {
      letGo();
    }
    await revert(d, v1);
    assert.equal(releases(stack).at(-1)!.migrations, [], 'nothing was applied');
    await markRolledBack(stack);
  }));

test('killed with an instance gone, --revert brings it back', () =>
  whileVisited(stack, async () => {
    await killAt(d, '--no-recreate backend-1', ['2.0.0', ...UNSAVED]);
    assert.equal(listed(stack), ['backend-2']);
    const there = await stack.docker('ps', '--all', '--format', '{{.Names}}');
    assert.not(there.split('\n').includes(stack.container('backend-1')));
    await assertRefused(d, 'roll');
    await revert(d, v1);
  }));

test('killed in the backup, then while the frontend’s stand-in serves, --resume goes on from each', async () => {
  const resume = ['--resume', '--yes'];
  await whileVisited(stack, async () => {
    await killAt(d, ' pg_dump --format', ['3.0.0', '--yes']);
    await killDeployment(d, () => standsIn(d), resume);
    const { code, stdout, stderr } = await d.run('deploy', resume);
    assert.is(code, 0, stderr);
    assert.match(stdout, /deployment of 3\.0\.0: done/);
  });
  const last = releases(stack).at(-1)!;
  assert.is(last.outcome, 'done');
  assert.equal(last.contracting, ['20250201000000_drop_subtitle']);
  assert.match(last.backup!, new RegExp(`^${stack.app}_production_`));
  await assertServing(d, v3);
  assert.equal((await serving(stack)).upstreams, v1.upstreams);
  await assertNothingLeft(d);
  await assertHealthy(d);
  assert.equal(
    globSync('backups/*.partial', { cwd: stack.directory }),
    [],
    'the second backup has cleaned up',
  );
  const again = await d.run('deploy', ['--revert', '--yes']);
  assert.is(again.code, 2, again.stderr);
  assert.match(again.stderr, /no deployment was interrupted/);
});

test.run();
