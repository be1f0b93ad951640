import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { rewrite } from '../../../scripts/lib/core/operator-file.ts';
import { type Call, killedAt, stepsOf } from './killed-at.ts';

/** Kills the rewriting of a file at each of its steps: it leaves one of both texts, and the next run rewrites it. */
export async function killedAnywhere(path: string, before: string, after: string): Promise<void> {
  const call: Call = { file: 'core/operator-file.ts', name: 'rewrite', args: [path, after] };
  const steps = stepsOf(call);
  assert.ok(steps.includes('openSync'));
  for (const [at, step] of steps.entries()) {
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
