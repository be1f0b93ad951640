/** More releases that fail, and deployments that are cut off: see test/stack/deploy-faults.test.ts. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertAs, backendOf, told } from '../../stack/lib/bad-release.ts';
import { assertEnded, assertHealthy, listed, releases, serving } from '../../stack/lib/deploy-state.ts';
import { startDeployable } from '../../stack/lib/deployable.ts';
import { sql, whileVisited } from '../../stack/lib/visitor.ts';
import { fill, withDisk } from '../../support/core/disk.ts';

const d = await startDeployable({ SHUTDOWN_LINGER_MS: '300', DEPLOY_BAKE_SECONDS: '60' });
const { stack, application } = d;
await d.publish('v2');
await d.publish('never-ready');
await d.publish('contracting-migration');
const v1 = await serving(stack);

test('a release that is never ready is rolled back, and no request fails', async () => {
  // As long as the previous release takes at most, on the way back.
  const patience = { DEPLOY_READY_TIMEOUT: '20s' };
  const ended = await whileVisited(stack, () => d.run('deploy', backendOf('2.1.0'), patience));
  assertEnded(
    stack,
    ended,
    1,
    'rolled back',
    new RegExp(
      `backend-1 is not ready after 20 s: ${application.healthPath}/ready answers 503; last log lines:`,
    ),
  );
  assert.match(ended.stdout, /deployment of 2\.1\.0 FAILED, rolled back: /);
  assert.match(ended.stdout, /canary +\d+ requests, 0 failed/);
  await assertAs(d, v1);
  await assertHealthy(d);
});

for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} in the middle rolls it back`, async () => {
    const ended = await whileVisited(stack, async () => {
      const pause = d.pauseDocker('http_requests_in_flight', 'before');
      const run = d.start('deploy', backendOf('2.0.0'), pause.env);
      await pause.reached(run);
      assert.equal(listed(stack), ['backend-2']);
      run.child.kill(signal);
      pause.go();
      return run.ended;
    });
    assertEnded(stack, ended, exitCode, 'rolled back', new RegExp(`interrupted by ${signal}`));
    await assertAs(d, v1);
  });
}

test('a file that Nginx refuses in the middle is not loaded, and the release is rolled back', async () => {
  const snippet = join(stack.directory, 'nginx/snippets/http.conf');
  const text = readFileSync(snippet, 'utf8');
  const ended = await whileVisited(stack, async () => {
    // One instance runs the new release by now, and the list is to be written for the next one.
    const pause = d.pauseDocker('--no-recreate backend-1', 'after');
    const run = d.start('deploy', backendOf('2.0.0'), pause.env);
    await pause.reached(run);
    appendFileSync(snippet, 'no_such_directive on;\n');
    pause.go();
    await run.shows(/going back to the previous release/);
    writeFileSync(snippet, text);
    return run.ended;
  });
  assertEnded(
    stack,
    ended,
    1,
    'rolled back',
    /Nginx refuses its configuration: unknown directive "no_such_directive"/,
  );
  await assertAs(d, v1);
  await assertHealthy(d);
});

test('a disk that is full in the middle leaves the list whole, and --revert finishes when there is room', async () => {
  const upstreams = join(stack.directory, 'nginx/upstreams');
  const files = ['backend', 'frontend'].map(name => join(upstreams, `${name}.conf`));
  const texts = files.map(file => readFileSync(file, 'utf8'));
  const before = releases(stack).length;
  await withDisk(join(stack.directory, 'state/../state-of-full-disk'), 64 * 1024, async () => {
    const state = join(stack.directory, 'state-of-full-disk');
    await whileVisited(stack, async () => {
      const pause = d.pauseDocker('--no-recreate backend-1', 'after');
      const run = d.start('deploy', backendOf('2.0.0'), { ...pause.env, STATE_DIR: state });
      await pause.reached(run);
      const filler = fill(state);
      run.child.kill('SIGINT');
      pause.go();
      const { code, stderr } = await run.ended;
      assert.is.not(code, 0, stderr);
      assert.match(stderr, /ENOSPC/);
      assert.not.match(stderr, /this is a bug/);
      writeFileSync(filler, '');
      const reverted = await d.run('deploy', ['--revert', '--yes'], { STATE_DIR: state });
      assert.is(reverted.code, 0, reverted.stderr);
    });
  });
  assert.equal(
    files.map(file => readFileSync(file, 'utf8')),
    texts,
  );
  assert.is(releases(stack).length, before, 'it was told to keep its state elsewhere');
  await assertAs(d, v1);
});

test('after a contracting migration, a surge instance that is never ready is removed', async () => {
  const ended = await whileVisited(stack, () =>
    told(d, 'APP_VARIANT=never-ready\n', () =>
      d.run('deploy', [...backendOf('3.0.0'), '--surge'], { DEPLOY_READY_TIMEOUT: '10s' }),
    ),
  );
  assertEnded(stack, ended, 1, 'stopped', /FAILED, stopped: backend-3 is not ready/);
  await assertAs(d, v1);
  // As if it had never been, for the next test.
  await sql(stack, 'ALTER TABLE articles ADD COLUMN subtitle text');
  await sql(stack, "DELETE FROM _prisma_migrations WHERE migration_name = '20250201000000_drop_subtitle'");
});

test.run();
