/**
 * deploy.ts ended by kill -9, as by a power loss, at some of its steps: the instances keep serving, the next run says where
 * it stopped, and `--revert` and `--resume` finish from there, also when they are killed themselves.
 * The other steps are in test/long/stack/deploy-killed.test.ts, and each change, with a model instead of the engine, in
 * test/integration/deploy-steps.test.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import { listed, releases, serving, sessions } from './lib/deploy-state.ts';
import { startDeployable, UNSAVED } from './lib/deployable.ts';
import {
  assertRefused,
  isTemporaryServing,
  killAt,
  killDeployment,
  resume,
  revert,
} from './lib/interrupted.ts';
import { lockOrders, markRolledBack, sql, whileVisited } from './lib/visitor.ts';

const d = await startDeployable({ SHUTDOWN_LINGER_MS: '300' });
const { stack } = d;

const RESUME = ['--resume', '--yes'];
const v1 = await serving(stack);
await d.publish('v2');
const v3 = await d.publish('contracting-migration');

test('killed while a migration waits: the migration ends, too', () =>
  whileVisited(stack, async () => {
    const letGo = await lockOrders(stack);
    try {
      const waits =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stack-migrate' AND wait_event_type = 'Lock'";
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

test('killed with an instance removed, --revert restores it', () =>
  whileVisited(stack, async () => {
    await killAt(d, '--no-recreate backend-1', ['2.0.0', ...UNSAVED]);
    assert.equal(listed(stack), ['backend-2']);
    const there = await stack.docker('ps', '--all', '--format', '{{.Names}}');
    assert.not(there.split('\n').includes(stack.container('backend-1')));
    await assertRefused(d, 'roll');
    await revert(d, v1);
  }));

test('killed in the backup, then while the temporary frontend serves, --resume continues from each', async () => {
  await whileVisited(stack, async () => {
    await killAt(d, ' pg_dump --format', ['3.0.0', '--yes']);
    await killDeployment(d, () => isTemporaryServing(d), RESUME);
    await resume(d, v1, v3);
  });
});

test.run();
