/** More of what a deployment refuses before it changes anything: see test/stack/deploy-refusals.test.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertNothingLeft, everything } from '../../stack/lib/deploy-state.ts';
import { startDeployable } from '../../stack/lib/deployable.ts';
import { withMemory } from '../../stack/lib/memory.ts';

const d = await startDeployable();
await d.publish('v2');

test('a deployment with too little memory for the temporary frontend is refused', async () => {
  const before = await everything(d.stack);
  const { code, stderr } = await withMemory(d, 200, 'deploy', '2.0.0', '--plan');
  assert.is(code, 1, stderr);
  assert.match(stderr, /200 MiB of memory are available, and frontend-2 need up to 256 MiB/);
  assert.equal(await everything(d.stack), before);
});

test('a deployment does not wait for a restore: it says who holds the lock', async () => {
  const made = await d.run('backup', ['--json']);
  assert.is(made.code, 0, made.stderr);
  const pause = d.pauseDocker(' psql ', 'before');
  const id = JSON.parse(made.stdout).backup.id;
  const restore = d.start('restore', [id, '--yes', '--no-migrate'], pause.env);
  await pause.reached(restore);
  const refused = await d.run('deploy', ['2.0.0', '--yes']);
  assert.is(refused.code, 75, refused.stderr);
  assert.match(refused.stderr, new RegExp(`restore\\.ts, by \\w+ on .*, process ${restore.child.pid}, `));
  restore.child.kill('SIGTERM');
  pause.go();
  assert.is((await restore.ended).code, 143);
  await assertNothingLeft(d);
});

test.run();
