/**
 * Releases that fail after the first instance was replaced, and deployments that are interrupted: they are taken back,
 * and who uses the site meanwhile sees nothing of it but what the new release itself got wrong.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fill, withDisk } from '../support/disk.ts';
import {
  assertEnded,
  assertHealthy,
  assertNothingLeft,
  containers,
  journal,
  listed,
  releases,
  serving,
  upstreams,
} from './lib/deploy-state.ts';
import { startDeployable, UNSAVED } from './lib/deployable.ts';
import { sql, visited, whileVisited } from './lib/visitor.ts';

const d = await startDeployable({
  SHUTDOWN_LINGER_MS: '300',
  DEPLOY_BAKE_SECONDS: '60',
});
const { stack } = d;
/** The frontend stays as it is. */
const BACKEND = (tag: string) => [tag, '1.0.0', ...UNSAVED];
const envFile = join(stack.directory, '.env.production');

await d.publish('v2');
await d.publish('never-ready');
await d.publish('crash-under-traffic');
await d.publish('errors-after-a-minute');
await d.publish('contracting-migration');
const v1 = await serving(stack);

/** What the new release is told besides, from its start on. */
async function told<T>(variables: string, body: () => Promise<T>): Promise<T> {
  const text = readFileSync(envFile, 'utf8');
  appendFileSync(envFile, variables);
  try {
    return await body();
  } finally {
    writeFileSync(envFile, text);
  }
}

async function assertAsBefore(): Promise<void> {
  assert.equal(await serving(stack), v1);
  await assertNothingLeft(d);
}

test('a release that is never ready is taken back, and nobody has noticed', async () => {
  // As long as the release before takes at most, on the way back.
  const patience = { DEPLOY_READY_TIMEOUT: '20s' };
  const ended = await whileVisited(stack, () => d.run('deploy', BACKEND('2.1.0'), patience));
  assertEnded(stack, ended, 1, 'rolled back', /backend-1 is not ready after 20 s; its last words:/);
  assert.match(ended.stdout, /deployment of 2\.1\.0 FAILED, rolled back: /);
  assert.match(ended.stdout, /canary +\d+ requests, 0 failed/);
  await assertAsBefore();
  await assertHealthy(d);
});

test('a release that answers 500 after some time is taken back', async () => {
  const { result: length, failures } = await visited(stack, async visitor => {
    const ended = await told('ERRORS_AFTER_SECONDS=40\n', () => d.run('deploy', BACKEND('2.3.0')));
    const before = visitor.failures.length;
    const why = /2\.3\.0 is worse than the release before: \d+ of \d+ answers are 5xx/;
    assertEnded(stack, ended, 1, 'rolled back', why);
    await assertAsBefore();
    return before;
  });
  assert.equal(failures.slice(length), []);
  assert.ok(length > 0);
  assert.equal(
    failures.filter(failure => !/ (GET|POST) \/api\/.*: 500$/.test(failure)),
    [],
    'what failed is what the new release answered',
  );
});

test('a release that crashes under traffic is taken back before the last old instance is touched', async () => {
  const of = async () => (await containers(stack)).find(line => line.includes('backend-2'));
  const old = await of();
  const { result: length, failures } = await visited(stack, async visitor => {
    const ended = await told('CRASH_AFTER_REQUESTS=5\n', () => d.run('deploy', BACKEND('2.2.0')));
    const before = visitor.failures.length;
    const why = /backend-1 did not bear the requests of backend-2, which was not replaced/;
    assertEnded(stack, ended, 1, 'rolled back', why);
    assert.is(await of(), old);
    await assertAsBefore();
    return before;
  });
  assert.equal(failures.slice(length), [], 'once it is taken back nothing fails');
  // While the new instance was alone it crashed, which is 502 until it was there again.
  assert.equal(
    failures.filter(failure => !/ \/api\/.*: 50[24]$/.test(failure)),
    [],
  );
});

for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} in the middle takes it back`, async () => {
    const ended = await whileVisited(stack, async () => {
      const pause = d.pauseDocker('http_requests_in_flight', 'before');
      const run = d.start('deploy', BACKEND('2.0.0'), pause.env);
      await pause.reached();
      assert.equal(listed(stack), ['backend-2']);
      run.child.kill(signal);
      pause.go();
      return run.ended;
    });
    assertEnded(stack, ended, exitCode, 'rolled back', new RegExp(`interrupted by ${signal}`));
    await assertAsBefore();
  });
}

test('a file that Nginx refuses in the middle is not loaded, and the release is taken back', async () => {
  const snippet = join(stack.directory, 'nginx/snippets/http.conf');
  const text = readFileSync(snippet, 'utf8');
  const ended = await whileVisited(stack, async () => {
    // One instance runs the new release by now, and the list is to be written for the next one.
    const pause = d.pauseDocker('--no-recreate backend-1', 'after');
    const run = d.start('deploy', BACKEND('2.0.0'), pause.env);
    await pause.reached();
    appendFileSync(snippet, 'no_such_directive on;\n');
    pause.go();
    await run.shows(/going back to the release before/);
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
  await assertAsBefore();
  await assertHealthy(d);
});

test('a configuration that stays refused leaves those serving that did, and --revert finishes when it is mended', async () => {
  const snippet = join(stack.directory, 'nginx/snippets/http.conf');
  const text = readFileSync(snippet, 'utf8');
  await whileVisited(stack, async () => {
    const pause = d.pauseDocker('--no-recreate backend-1', 'after');
    const run = d.start('deploy', BACKEND('2.0.0'), pause.env);
    await pause.reached();
    appendFileSync(snippet, 'no_such_directive on;\n');
    pause.go();
    const { code, stderr } = await run.ended;
    assert.is(code, 1, stderr);
    assert.match(stderr, /going back to the release before failed as well: Nginx refuses/);
    assert.match(stderr, /Put it right, then deploy\.ts --revert/);
    assert.is(journal(stack)!.step, 'revert');
    writeFileSync(snippet, text);
    assert.is((await d.run('deploy', ['--revert', '--yes'])).code, 0);
  });
  await assertAsBefore();
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
      const run = d.start('deploy', BACKEND('2.0.0'), { ...pause.env, STATE_DIR: state });
      await pause.reached();
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
  await assertAsBefore();
});

test('past a migration that takes something away, an instance more that is never ready leaves nothing behind', async () => {
  const ended = await whileVisited(stack, () =>
    told('APP_VARIANT=never-ready\n', () =>
      d.run('deploy', [...BACKEND('3.0.0'), '--surge'], { DEPLOY_READY_TIMEOUT: '10s' }),
    ),
  );
  assertEnded(stack, ended, 1, 'stopped', /FAILED, stopped: backend-3 is not ready/);
  await assertAsBefore();
  // As if it had never been, for the next test.
  await sql(stack, 'ALTER TABLE articles ADD COLUMN subtitle text');
  await sql(stack, "DELETE FROM _prisma_migrations WHERE migration_name = '20250201000000_drop_subtitle'");
});

test('past a migration that takes something away it stops where most serve, and names the ways out', async () => {
  const ended = await whileVisited(stack, () =>
    told('APP_VARIANT=never-ready\n', () =>
      d.run('deploy', BACKEND('3.0.0'), { DEPLOY_READY_TIMEOUT: '10s' }),
    ),
  );
  const last = assertEnded(stack, ended, 1, 'stopped', /FAILED, stopped: backend-1 is not ready/);
  assert.equal(last.contracting, ['20250201000000_drop_subtitle']);
  assert.match(
    ended.stderr,
    /not rolled back: 20250201000000_drop_subtitle changed the schema so that the release before/,
  );
  assert.match(ended.stderr, /\.\/scripts\/rollback\.ts --with-database BACKUP/);
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

test('a corrected version ends that: the instance that was left out is replaced first', async () => {
  const ended = await whileVisited(stack, () =>
    d.run('deploy', BACKEND('3.0.0'), { DEPLOY_BAKE_SECONDS: '5' }),
  );
  assertEnded(stack, ended, 0, 'done');
  assert.match(ended.stderr, /note: not ready now, replaced first: backend-1/);
  assert.is(upstreams(stack).backend, v1.upstreams.backend);
  await assertNothingLeft(d);
  await assertHealthy(d);
});

test.run();
