/**
 * Deployments that can't roll back by themselves: Nginx refuses its files, or a contracting migration is applied. The
 * instances that are ready keep serving, and the messages name the way out.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertAs, backendOf, told } from './lib/bad-release.ts';
import {
  assertDrained,
  assertEnded,
  assertHealthy,
  assertNothingLeft,
  journal,
  listed,
  serving,
  upstreams,
} from './lib/deploy-state.ts';
import { startDeployable } from './lib/deployable.ts';
import { whileVisited } from './lib/visitor.ts';

const d = await startDeployable({ SHUTDOWN_LINGER_MS: '300', DEPLOY_BAKE_SECONDS: '5' });
const { stack } = d;
await d.publish('v2');
await d.publish('contracting-migration');
const v1 = await serving(stack);

test('while Nginx refuses its configuration, the same instances serve, and --revert finishes when it is corrected', async () => {
  const snippet = join(stack.directory, 'nginx/snippets/http.conf');
  const text = readFileSync(snippet, 'utf8');
  await whileVisited(stack, async () => {
    const pause = d.pauseDocker('--no-recreate backend-1', 'after');
    const run = d.start('deploy', backendOf('2.0.0'), pause.env);
    await pause.reached(run);
    appendFileSync(snippet, 'no_such_directive on;\n');
    pause.go();
    const { code, stderr } = await run.ended;
    assert.is(code, 1, stderr);
    assert.match(stderr, /going back to the previous release failed too: Nginx refuses/);
    assert.match(stderr, /Fix the cause, then run \S*deploy\.ts --revert/);
    assert.is(journal(stack)!.step, 'revert');
    writeFileSync(snippet, text);
    assert.is((await d.run('deploy', ['--revert', '--yes'])).code, 0);
  });
  await assertAs(d, v1);
});

test('after a contracting migration it stops with the ready instances serving, and says how to continue', async () => {
  const ended = await whileVisited(stack, () =>
    told(d, 'APP_VARIANT=never-ready\n', () =>
      d.run('deploy', backendOf('3.0.0'), { DEPLOY_READY_TIMEOUT: '2s' }),
    ),
  );
  const last = assertEnded(stack, ended, 1, 'stopped', /FAILED, stopped: backend-1 is not ready/);
  assert.equal(last.contracting, ['20250201000000_drop_subtitle']);
  assert.match(
    ended.stderr,
    /not rolled back: 20250201000000_drop_subtitle changed the schema so that the previous release/,
  );
  assert.match(ended.stderr, /\/scripts\/rollback\.ts 'the initial release' --with-database BACKUP/);
  for (const name of [['the initial release'], []]) {
    const back = await d.run('rollback', [...name, '--yes']);
    assert.is(back.code, 2, back.stderr);
    assert.match(back.stderr, /the initial release may fail after 20250201000000_drop_subtitle/);
  }
  assert.equal(listed(stack), ['backend-2'], 'the one that is not ready gets no requests');
  assert.match(upstreams(stack).backend, /^server backend-1:.* down;$/m);
  assert.is(journal(stack), undefined);
  const health = await d.run('health-check', ['--only', 'backend']);
  assert.is(health.code, 1, health.stdout);
  assert.match(health.stdout, /backend-1 .*gets no requests: it is marked down/);
  const scaled = await d.run('scale', ['2']);
  assert.is(scaled.code, 0, scaled.stderr);
  assert.match(scaled.stdout, /^1 of 2 instances serve: no change; backend-1 stays marked down/);
  assert.equal(listed(stack), ['backend-2'], 'a number is no reason to send it requests');
});

test('a corrected version replaces the instance that is marked down first', async () => {
  const ended = await whileVisited(stack, () => d.run('deploy', backendOf('3.0.0')));
  assertEnded(stack, ended, 0, 'done');
  assertDrained(d, ended);
  assert.match(ended.stderr, /note: not ready now, replaced first: backend-1/);
  assert.is(upstreams(stack).backend, v1.upstreams.backend);
  await assertNothingLeft(d);
  await assertHealthy(d);
});

test.run();
