/**
 * The application that keeps none of the contract's defaults, scaled from two instances to four and back, and rolled back
 * in between, while a visitor uses it and requests are open on the instances that go.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  assertDrained,
  assertEnded,
  assertHealthy,
  assertNothingLeft,
  assertServing,
  listed,
  serving,
  upstreams,
} from '../../stack/lib/deploy-state.ts';
import { UNSAVED } from '../../stack/lib/deployable.ts';
import { startOther, whileSlow } from '../../stack/lib/other-application.ts';

const d = await startOther();
const { stack } = d;
const first = await serving(stack);
const v2 = await d.publish('v2');
const release = await d.run('deploy', ['2.0.0', ...UNSAVED]);
assert.is(release.code, 0, release.stderr);
await assertServing(d, v2);

const names = (count: number) => Array.from({ length: count }, (_, index) => `backend-${index + 1}`);

/** @throws unless so many instances serve and nothing is left */
async function assertScaled(instances: number): Promise<void> {
  assert.equal(listed(stack), names(instances));
  assert.is(upstreams(stack).backend.match(/^server backend-\d:3001 /gm)?.length, instances);
  await assertNothingLeft(d);
  await assertHealthy(d);
}

test('two instances more', async () => {
  const ended = await whileSlow(stack, async slow => {
    const run = d.start('scale', ['4']);
    await run.shows(/backend-3 is ready/, 300);
    slow();
    const result = await run.ended;
    slow(4);
    return result;
  });
  assert.is(ended.code, 0, ended.stderr);
  await assertScaled(4);
});

test('a rollback of four instances', async () => {
  const ended = await whileSlow(stack, async slow => {
    const run = d.start('rollback', ['--yes']);
    for (const [index, name] of names(4).entries()) {
      await run.shows(new RegExp(`${name} \\(${index + 1} of 4\\)`), 300);
      slow(4);
    }
    return run.ended;
  });
  assert.is(assertEnded(stack, ended, 0, 'done').kind, 'rollback');
  assertDrained(d, ended);
  await assertScaled(4);
});

test('two instances less', async () => {
  const ended = await whileSlow(stack, async slow => {
    slow(4); // they last longer than what comes before the drain
    const run = d.start('scale', ['2']);
    await run.shows(/from here on, things change/, 300);
    slow();
    return run.ended;
  });
  assert.is(ended.code, 0, ended.stderr);
  assertDrained(d, ended);
  await assertScaled(2);
  assert.equal((await serving(stack)).containers, first.containers);
});

test.run();
