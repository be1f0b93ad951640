/** Deployments that are ended by kill -9, as by a lost server, and their end by --resume or --revert. */
import { globSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { kill, killWhen } from '../../support/core/world.ts';
import {
  assertHealthy,
  assertNothingLeft,
  assertServing,
  everything,
  releases,
  serving,
  upstreams,
} from './deploy-state.ts';
import type { Deployable } from './deployable.ts';

type Serving = Awaited<ReturnType<typeof serving>>;

/** Runs deploy.ts until it is about to call docker with these words, or just after, and kills it there. */
export async function killAt(
  d: Deployable,
  words: string,
  args: string[],
  when: 'before' | 'after' = 'before',
): Promise<void> {
  const pause = d.pauseDocker(words, when);
  const run = d.start('deploy', args, pause.env);
  await pause.reached(run);
  await kill(run);
}

/** Runs deploy.ts until `condition` holds, and kills it there. */
export const killDeployment = (
  d: Deployable,
  condition: () => boolean | Promise<boolean>,
  args: string[],
  env = {},
) => killWhen(d.start('deploy', args, env), condition, 300);

/** Whether the temporary frontend is the only one that serves. */
export const isTemporaryServing = (d: Deployable) =>
  upstreams(d.stack).frontend.startsWith('server frontend-2:');

/** Asserts that every other run refuses to start, names the step, and changes nothing. */
export async function assertRefused(d: Deployable, step: string): Promise<void> {
  const before = await everything(d.stack);
  for (const [script, ...args] of [
    ['deploy', '2.0.0', '--yes'],
    ['rollback', '--yes'],
    ['scale', '3'],
  ] as const) {
    const { code, stderr } = await d.run(script, args);
    assert.is(code, 1, stderr);
    assert.match(stderr, new RegExp(`interrupted at the step “${step}”; it began `));
    assert.match(stderr, /deploy\.ts --resume finishes it, \S*deploy\.ts --revert goes back/);
  }
  assert.equal(await everything(d.stack), before);
}

/** Reverts a killed deployment, and asserts that the state is `first` again. */
export async function revert(d: Deployable, first: Serving): Promise<void> {
  const { code, stdout, stderr } = await d.run('deploy', ['--revert', '--yes']);
  assert.is(code, 0, stderr);
  assert.match(stdout, /deployment of .*: rolled back/);
  assert.is(releases(d.stack).at(-1)!.outcome, 'rolled back');
  await assertNothingLeft(d);
  assert.equal(await serving(d.stack), first);
}

/**
 * Resumes the killed deployment of 3.0.0, which has a contracting migration and a backup, and asserts that it is complete.
 *
 * @param first the state before it
 * @param wanted the images of 3.0.0
 */
export async function resume(
  d: Deployable,
  first: Serving,
  wanted: Parameters<typeof assertServing>[1],
): Promise<void> {
  const { stack } = d;
  const { code, stdout, stderr } = await d.run('deploy', ['--resume', '--yes']);
  assert.is(code, 0, stderr);
  assert.match(stdout, /deployment of 3\.0\.0: done/);
  const last = releases(stack).at(-1)!;
  assert.is(last.outcome, 'done');
  assert.equal(last.contracting, ['20250201000000_drop_subtitle']);
  assert.match(last.backup!, new RegExp(`^${stack.app}_production_`));
  await assertServing(d, wanted);
  const now = await serving(stack);
  assert.equal(now.upstreams, first.upstreams);
  assert.match(now.env, last.images.backend);
  assert.match(now.env, last.images.frontend);
  await assertNothingLeft(d);
  await assertHealthy(d);
  const partial = globSync('backups/*.partial', { cwd: stack.directory });
  assert.equal(partial, [], 'the second backup has cleaned up');
  for (const flag of ['--resume', '--revert']) {
    const again = await d.run('deploy', [flag, '--yes']);
    assert.is(again.code, 2, again.stderr);
    assert.match(again.stderr, /no deployment was interrupted/);
  }
}
