/** Hooks of backups and restores as processes: order, refusals, dry runs, locks, signals and kills. */
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { createWorld, until } from '../support/core/world.ts';
import { fresh } from '../support/hooks/fresh-hooks.ts';
import { isRunning } from '../support/hooks/hooks.ts';

const world = await createWorld();
await world.sql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');

test('a backup: before it, after it, with its facts; a failed post-backup is a warning; a dry run runs none', async () => {
  const { place, env, backups } = fresh();
  place.write('pre-backup', 'cat >pre; ls backups/*.json >seen 2>/dev/null; echo ready');
  place.write('post-backup', 'cat >post; exit 9');
  const dry = await world.run('backup', ['--dry-run'], env);
  assert.is(dry.code, 0, dry.stderr);
  assert.not(existsSync(place.path('pre')) || existsSync(place.path('post')), dry.stderr);

  const done = await world.run('backup', ['--label', 'by hand', '--json'], env);
  assert.is(done.code, 0, done.stderr);
  const { id } = JSON.parse(done.stdout).backup;
  assert.is(place.read('seen'), '', 'there was no backup yet');
  const { estimatedBytes, ...pre } = JSON.parse(place.read('pre'));
  assert.ok(estimatedBytes > 0);
  for (const [name, facts] of [
    ['pre-backup', pre],
    ['post-backup', JSON.parse(place.read('post'))],
  ] as const) {
    assert.equal([facts.hook, facts.script, facts.label], [name, 'backup.ts', 'by hand']);
    assert.equal([facts.database, facts.format, facts.environment], ['app', 'plain', 'production']);
  }
  const { backup, exitCode, offsite } = JSON.parse(place.read('post'));
  assert.equal([backup, exitCode, backups()], [id, 0, [`${id}.json`]]);
  assert.match(offsite, /not configured/);
  assert.match(
    done.stderr,
    /hook pre-backup …[\s\S]*things change[\s\S]*warning: the hook post-backup exited with 9/,
  );
  assert.match(place.read('logs/backup.log'), /hook pre-backup, which exited with 0, wrote:\n {2}ready/);
});

test('a failed pre-backup, or one that others can write, ends the run before anything changes; on-alert is told', async () => {
  const { place, env, backups } = fresh();
  const pre = place.write('pre-backup', 'echo the queue is busy; exit 3');
  place.write('post-backup', 'touch post');
  place.write('on-alert', 'cat >alert');
  const failed = await world.run('backup', [], env);
  assert.is(failed.code, 1, failed.stderr);
  assert.match(
    failed.stderr,
    /error: the hook pre-backup exited with 3; there is no new backup\n {2}the queue is busy\n {2}→ /,
  );
  assert.not.match(failed.stderr, /things change/);
  const { text, exitCode } = JSON.parse(place.read('alert'));
  assert.is(exitCode, 1);
  assert.match(text, /^backup FAILED: the hook pre-backup exited with 3/);
  assert.not(existsSync(place.path('post')), 'there is nothing to take back');

  chmodSync(pre, 0o777);
  for (const args of [[], ['--dry-run']]) {
    const refused = await world.run('backup', args, env);
    assert.is(refused.code, 1, refused.stderr);
    assert.match(
      refused.stderr,
      /pre-backup runs as this user, and others can write \S+pre-backup; there is/,
    );
  }
  assert.equal(backups(), []);
});

test('after a backup that has failed, post-backup can take back what pre-backup has done', async () => {
  const { place, env } = fresh();
  place.write('pre-backup', 'rm -rf backups; touch backups');
  place.write('post-backup', 'cat >post');
  const failed = await world.run('backup', [], env);
  assert.is.not(failed.code, 0, failed.stderr);
  const { exitCode, error, backup } = JSON.parse(place.read('post'));
  assert.equal([exitCode, backup], [failed.code, null]);
  assert.ok(error.length > 0);
});

test('a hook that starts a backup itself: the lock is held by the run that waits for it, and says so', async () => {
  const { place, env, backups } = fresh();
  const own = Object.entries({ ...world.env, ...env }).map(([name, value]) => `${name}='${value}'`);
  place.write(
    'post-backup',
    `env ${own.join(' ')} HOOK=$HOOK ${join(ROOT, 'scripts/backup.ts')} 2>said; echo $? >code`,
  );
  const done = await world.run('backup', [], env);
  assert.is(done.code, 0, done.stderr);
  assert.is(place.read('code'), '75\n');
  assert.match(
    place.read('said'),
    /another run holds .*: backup\.ts, by .*\n {2}→ the hook post-backup of that run started this one/,
  );
  assert.is(backups().length, 1);
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const)
  test(`${signal} while pre-backup runs: no process of the hook outlives the run`, async () => {
    const { place, env, backups } = fresh();
    place.write(
      'pre-backup',
      `trap '' TERM; setsid sleep 600 & echo $! >left; sleep 600 & echo $! >child; echo $$ >hook; while :; do sleep 0.2; done`,
    );
    const run = world.start('backup', [], env);
    await until('the hook runs', () => existsSync(place.path('hook')) && place.read('hook') !== '');
    run.child.kill(signal);
    const { code } = await run.ended;
    assert.is(code, signal === 'SIGTERM' ? 143 : null);
    for (const name of ['left', 'child', 'hook'])
      await until(`${name} has ended`, () => !isRunning(place.read(name)));
    assert.equal(backups(), []);
  });

/** After an undo, and not beside the live database, nor in a dry run: test/long/integration/hooks.test.ts. */
test('post-restore after a restore', async () => {
  const { place, env } = fresh();
  const { code, stderr } = await world.run('backup', [], env);
  assert.is(code, 0, stderr);
  place.write('post-restore', 'cat >>restored');
  const done = await world.run('restore', ['latest', '--yes'], env);
  assert.is(done.code, 0, done.stderr);
  const restored = JSON.parse(place.read('restored')); // one line
  assert.equal([restored.hook, restored.script, restored.database], ['post-restore', 'restore.ts', 'app']);
});

test.after(() => world.stop());
test.run();
