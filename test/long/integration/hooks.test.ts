/** Which of restore.ts's runs have a post-restore. */
import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createWorld } from '../../support/core/world.ts';
import { fresh } from '../../support/hooks/fresh-hooks.ts';

const world = await createWorld();
await world.sql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');

test('post-restore after a restore and an undo, but not beside the live database, nor in a dry run', async () => {
  const { place, env } = fresh();
  const { code, stderr } = await world.run('backup', [], env);
  assert.is(code, 0, stderr);
  place.write('post-restore', 'cat >>restored');
  const cases: [string[], number][] = [
    [['latest', '--yes', '--dry-run'], 0],
    [['latest', '--yes', '--database', 'beside'], 0],
    [['latest', '--yes'], 1],
    [['--undo', '--yes'], 2],
  ];
  for (const [args, times] of cases) {
    const done = await world.run('restore', args, env);
    assert.is(done.code, 0, done.stderr);
    const told = existsSync(place.path('restored')) ? place.read('restored').trimEnd().split('\n') : [];
    assert.is(told.length, times, args.join(' '));
  }
  const [restored] = place
    .read('restored')
    .split('\n')
    .map(line => line && JSON.parse(line));
  assert.equal([restored.hook, restored.script, restored.database], ['post-restore', 'restore.ts', 'app']);
});

test.after(() => world.stop());
test.run();
