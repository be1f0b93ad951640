import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { rewrite } from '../../../scripts/lib/core/operator-file.ts';
import { type Call, killedAt, stepsOf } from './killed-at.ts';

/**
 * Kills the rewriting of a file at its steps: it leaves one of both texts, and the next run rewrites it.
 * @param every how many steps there are from one kill to the next
 */
export async function killedAnywhere(path: string, before: string, after: string, every = 1): Promise<void> {
  const call: Call = { file: 'core/operator-file.ts', name: 'rewrite', args: [path, after] };
  const steps = stepsOf(call);
  assert.ok(steps.includes('openSync'));
  for (const [at, step] of steps.entries()) {
    if (at % every > 0) continue;
    writeFileSync(path, before);
    killedAt(call, at);
    const left = readFileSync(path, 'utf8');
    const whole = [before, after, after.padEnd(before.length, '\n')];
    assert.ok(whole.includes(left), `killed before ${step} (${at}): ${left}`);
    await rewrite(path, after);
    assert.is(readFileSync(path, 'utf8'), after, step);
    assert.not.ok(existsSync(`${path}.partial`));
  }
}
