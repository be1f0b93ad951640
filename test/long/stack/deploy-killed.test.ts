/**
 * deploy.ts ended by kill -9, as by a power loss, at each of its steps: the instances keep serving, the next run says where
 * it stopped, and `--revert` and `--resume` finish from there, also when they are killed themselves.
 * test/integration/deploy-steps.test.ts does it before and after each change, with a model instead of the engine.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  assertHealthy,
  everything,
  journal,
  listed,
  releases,
  serving,
  sessions,
} from '../../stack/lib/deploy-state.ts';
import { startDeployable, UNSAVED } from '../../stack/lib/deployable.ts';
import {
  assertRefused,
  isTemporaryServing,
  killAt,
  killDeployment,
  resume,
  revert,
} from '../../stack/lib/interrupted.ts';
import { sql, whileVisited } from '../../stack/lib/visitor.ts';
import { until } from '../../support/core/world.ts';

const d = await startDeployable({ SHUTDOWN_LINGER_MS: '300' });
const { stack, registry } = d;

const RESUME = ['--resume', '--yes'];
const v1 = await serving(stack);
await d.publish('v2');
const v3 = await d.publish('contracting-migration');

test('killed before an instance is replaced, --revert changes nothing', () =>
  whileVisited(stack, async () => {
    const before = await everything(stack);
    await killAt(d, `pull --quiet ${registry.host}/shop/frontend`, ['2.0.0', ...UNSAVED]);
    await assertRefused(d, 'pull');
    await revert(d, v1);
    assert.equal((await everything(stack)).containers, before.containers);

    await killAt(d, ' pg_dump --format', ['2.0.0', '--yes']);
    await assertRefused(d, 'backup');
    await revert(d, v1);
    assert.equal((await everything(stack)).containers, before.containers);
    assert.is(releases(stack).at(-1)!.backup, null);
  }));

test('killed while a migration runs: its session ends, too', () =>
  whileVisited(stack, async () => {
    const sleep = `const { Client } = require('pg');
      const client = new Client(process.env.DATABASE_URL);
      client.connect().then(() => client.query('SELECT pg_sleep(600)'));`;
    const env = { MIGRATE_COMMAND: `node -e "${sleep.replaceAll('\n', '')}"` };
    const busy =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stack-migrate' AND wait_event = 'PgSleep'";
    await killDeployment(d, async () => (await sql(stack, busy)) !== '0', ['2.0.0', ...UNSAVED], env);
    await until('its session is over', async () => (await sessions(stack)) === '0');
    await assertRefused(d, 'migrate');
    await revert(d, v1);
  }));

test('killed with an instance out of the list, or removed, --revert restores it', () =>
  whileVisited(stack, async () => {
    await killAt(d, 'http_requests_in_flight', ['2.0.0', ...UNSAVED]);
    assert.equal(listed(stack), ['backend-2']);
    await assertRefused(d, 'roll');
    await revert(d, v1);

    await killAt(d, '--no-recreate backend-1', ['2.0.0', ...UNSAVED]);
    assert.equal(listed(stack), ['backend-2']);
    const there = await stack.docker('ps', '--all', '--format', '{{.Names}}');
    assert.not(there.split('\n').includes(stack.container('backend-1')));
    await assertRefused(d, 'roll');
    await revert(d, v1);
    await assertHealthy(d);
  }));

test('killed while the temporary frontend serves, and again during --revert', () =>
  whileVisited(stack, async () => {
    await killDeployment(d, () => isTemporaryServing(d), ['2.0.0', ...UNSAVED]);
    await assertRefused(d, 'roll');
    await killAt(d, 'http_requests_in_flight', ['--revert', '--yes']);
    assert.is(listed(stack).length, 1);
    await assertRefused(d, 'revert');
    await revert(d, v1);
    await assertHealthy(d);
  }));

test('killed at every step in turn, --resume continues from each', async () => {
  await whileVisited(stack, async () => {
    await killAt(d, `pull --quiet ${registry.host}/shop/frontend`, ['3.0.0', '--yes']);
    await assertRefused(d, 'pull');
    await killAt(d, ' pg_dump --format', RESUME);
    await assertRefused(d, 'backup');
    await killAt(d, 'run --rm --interactive', RESUME, 'after');
    await assertRefused(d, 'migrate');
    await killAt(d, 'http_requests_in_flight', RESUME);
    assert.equal(listed(stack), ['backend-2']);
    await killAt(d, '--no-recreate backend-1', RESUME);
    await killAt(d, 'http_requests_in_flight', RESUME);
    assert.equal(listed(stack), ['backend-1']);
    await killDeployment(d, () => isTemporaryServing(d), RESUME);
    await assertRefused(d, 'roll');
    await killDeployment(d, () => journal(stack)?.step === 'bake', RESUME, { DEPLOY_BAKE_SECONDS: '60' });
    await assertRefused(d, 'bake');
    await resume(d, v1, v3);
  });
});

test.run();
