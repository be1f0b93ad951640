/**
 * deploy.ts ended by kill -9, as by a lost server, at each of its steps: what serves goes on, the next run says where it
 * stopped, and `--revert` and `--resume` get to an end from there, and from where they themselves were ended.
 */
import { globSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { kill, killWhen, until } from '../support/world.ts';
import {
  assertHealthy,
  assertNothingLeft,
  everything,
  journal,
  listed,
  releases,
  serving,
  sessions,
  upstreams,
} from './lib/deploy-state.ts';
import { startDeployable, UNSAVED } from './lib/deployable.ts';
import { lockOrders, markRolledBack, sql, whileVisited } from './lib/visitor.ts';

const d = await startDeployable({ SHUTDOWN_LINGER_MS: '300' });
const { stack, registry } = d;

const v1 = await serving(stack);
const v2 = await d.publish('v2');
await d.publish('contracting-migration');

/** Runs deploy.ts until it is about to call docker with these words, or just after, and kills it there. */
async function killAt(words: string, args: string[], when: 'before' | 'after' = 'before', env = {}) {
  const pause = d.pauseDocker(words, when);
  const run = d.start('deploy', args, { ...pause.env, ...env });
  await Promise.race([pause.reached(), run.ended.then(({ stderr }) => assert.unreachable(stderr))]);
  await kill(run);
}

/** Runs deploy.ts until `condition` holds, and kills it there. */
const killDeployment = (condition: () => boolean | Promise<boolean>, args: string[], env = {}) =>
  killWhen(d.start('deploy', args, env), condition);

/** Whether visitors are served by the frontend's stand-in, and by nobody else. */
const standIn = () => upstreams(stack).frontend.startsWith('server frontend-2:');

/** Nothing but --resume and --revert goes on from here, and everybody else says so. */
async function assertRefused(step: string): Promise<void> {
  const before = await everything(stack);
  for (const [script, ...args] of [
    ['deploy', '2.0.0', '--yes'],
    ['rollback', '--yes'],
    ['scale', '3'],
  ] as const) {
    const { code, stderr } = await d.run(script, args);
    assert.is(code, 1, stderr);
    assert.match(stderr, new RegExp(`interrupted at the step “${step}”; it began `));
    assert.match(stderr, /deploy\.ts --resume finishes it, deploy\.ts --revert goes back/);
  }
  assert.equal(await everything(stack), before);
}

async function revert(): Promise<void> {
  const { code, stdout, stderr } = await d.run('deploy', ['--revert', '--yes']);
  assert.is(code, 0, stderr);
  assert.match(stdout, /deployment of .*: rolled back/);
  assert.is(releases(stack).at(-1)!.outcome, 'rolled back');
  await assertNothingLeft(d);
  assert.equal(await serving(stack), v1);
}

test('before anything is replaced, --revert leaves all as it was', () =>
  whileVisited(stack, async () => {
    const before = await everything(stack);
    await killAt(`pull --quiet ${registry.host}/shop/frontend`, ['2.0.0', ...UNSAVED]);
    await assertRefused('pull');
    await revert();
    assert.equal((await everything(stack)).containers, before.containers);

    await killAt(' pg_dump --format', ['2.0.0', '--yes']);
    await assertRefused('backup');
    await revert();
    assert.equal((await everything(stack)).containers, before.containers);
    assert.is(releases(stack).at(-1)!.backup, null);
  }));

test('killed while a migration waits, it takes the migration along', () =>
  whileVisited(stack, async () => {
    const letGo = await lockOrders(stack);
    try {
      const waits =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'neurmatic-migrate' AND wait_event_type = 'Lock'";
      await killDeployment(async () => (await sql(stack, waits)) !== '0', ['2.0.0', ...UNSAVED]);
      await until('its session is over', async () => (await sessions(stack)) === '0');
      await assertRefused('migrate');
    } finally {
      letGo();
    }
    await revert();
    assert.equal(releases(stack).at(-1)!.migrations, [], 'nothing was applied');
    await markRolledBack(stack);
  }));

test('killed while a migration is busy, it takes its session along', () =>
  whileVisited(stack, async () => {
    const sleep = `const { Client } = require('pg');
      const client = new Client(process.env.DATABASE_URL);
      client.connect().then(() => client.query('SELECT pg_sleep(600)'));`;
    const env = { MIGRATE_COMMAND: `node -e "${sleep.replaceAll('\n', '')}"` };
    const busy =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'neurmatic-migrate' AND wait_event = 'PgSleep'";
    await killDeployment(async () => (await sql(stack, busy)) !== '0', ['2.0.0', ...UNSAVED], env);
    await until('its session is over', async () => (await sessions(stack)) === '0');
    await assertRefused('migrate');
    await revert();
  }));

test('killed with an instance out of the list, or gone, --revert brings it back', () =>
  whileVisited(stack, async () => {
    await killAt('http_requests_in_flight', ['2.0.0', ...UNSAVED]);
    assert.equal(listed(stack), ['backend-2']);
    await assertRefused('roll');
    await revert();

    await killAt('--no-recreate backend-1', ['2.0.0', ...UNSAVED]);
    assert.equal(listed(stack), ['backend-2']);
    const there = await stack.docker('ps', '--all', '--format', '{{.Names}}');
    assert.not(there.split('\n').includes(stack.container('backend-1')));
    await assertRefused('roll');
    await revert();
    await assertHealthy(d);
  }));

test('killed while the frontend’s stand-in serves, and once more while going back', () =>
  whileVisited(stack, async () => {
    await killDeployment(standIn, ['2.0.0', ...UNSAVED]);
    await assertRefused('roll');
    await killAt('http_requests_in_flight', ['--revert', '--yes']);
    assert.is(listed(stack).length, 1);
    await assertRefused('revert');
    await revert();
    await assertHealthy(d);
  }));

test('killed at every step in turn, --resume goes on from each', async () => {
  const { backend, frontend } = v2;
  const resume = ['--resume', '--yes'];
  await whileVisited(stack, async () => {
    await killAt(`pull --quiet ${registry.host}/shop/frontend`, ['3.0.0', '--yes']);
    await assertRefused('pull');
    await killAt(' pg_dump --format', resume);
    await assertRefused('backup');
    await killAt('run --rm --interactive', resume, 'after');
    await assertRefused('migrate');
    await killAt('http_requests_in_flight', resume);
    assert.equal(listed(stack), ['backend-2']);
    await killAt('--no-recreate backend-1', resume);
    await killAt('http_requests_in_flight', resume);
    assert.equal(listed(stack), ['backend-1']);
    await killDeployment(standIn, resume);
    await assertRefused('roll');
    await killDeployment(() => journal(stack)?.step === 'bake', resume, { DEPLOY_BAKE_SECONDS: '600' });
    await assertRefused('bake');
    const { code, stdout, stderr } = await d.run('deploy', resume);
    assert.is(code, 0, stderr);
    assert.match(stdout, /deployment of 3\.0\.0: done/);
  });
  const last = releases(stack).at(-1)!;
  assert.is(last.outcome, 'done');
  assert.equal(last.contracting, ['20250201000000_drop_subtitle']);
  assert.match(last.backup!, new RegExp(`^${stack.app}_production_`));
  assert.is.not(last.images.backend, `${registry.host}/shop/backend@${backend}`);
  assert.is.not(last.images.frontend, `${registry.host}/shop/frontend@${frontend}`);
  const now = await serving(stack);
  assert.equal(now.upstreams, v1.upstreams);
  assert.match(now.env, last.images.backend);
  assert.match(now.env, last.images.frontend);
  await assertNothingLeft(d);
  await assertHealthy(d);
  assert.equal(
    globSync('backups/*.partial', { cwd: stack.directory }),
    [],
    'the second backup has cleaned up',
  );
  for (const flag of ['--resume', '--revert']) {
    const again = await d.run('deploy', [flag, '--yes']);
    assert.is(again.code, 2, again.stderr);
    assert.match(again.stderr, /no deployment was interrupted/);
  }
});

test.run();
