/** Deployments that are ended by kill -9, as by a lost server, and what gets them to an end. */
import * as assert from 'uvu/assert';
import { kill, killWhen } from '../../support/core/world.ts';
import { assertNothingLeft, everything, releases, serving, upstreams } from './deploy-state.ts';
import type { Deployable } from './deployable.ts';

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

/** Whether visitors are served by the frontend's stand-in, and by nobody else. */
export const standsIn = (d: Deployable) => upstreams(d.stack).frontend.startsWith('server frontend-2:');

/** Nothing but --resume and --revert goes on from here, and everybody else says so. */
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
    assert.match(stderr, /deploy\.ts --resume finishes it, deploy\.ts --revert goes back/);
  }
  assert.equal(await everything(d.stack), before);
}

/** @throws unless all is, in the end, as it was when `first` was looked at */
export async function revert(d: Deployable, first: Awaited<ReturnType<typeof serving>>): Promise<void> {
  const { code, stdout, stderr } = await d.run('deploy', ['--revert', '--yes']);
  assert.is(code, 0, stderr);
  assert.match(stdout, /deployment of .*: rolled back/);
  assert.is(releases(d.stack).at(-1)!.outcome, 'rolled back');
  await assertNothingLeft(d);
  assert.equal(await serving(d.stack), first);
}
