import { readdirSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inTemporary, processesWith } from '../../support/embedded.ts';
import { startScript } from '../../support/world.ts';

for (const [moment, pattern] of [
  ['backup.ts', /Dumping/],
  ['restore.ts', /Loading/],
] as const) {
  test(`embedded: interrupted while ${moment} runs, it leaves nothing behind`, () =>
    inTemporary(async (env, directory) => {
      const drill = startScript('drill', ['--embedded'], env);
      await drill.shows(pattern);
      drill.child.kill('SIGINT');
      const { code, stderr } = await drill.ended;
      assert.is(code, 130, stderr);
      assert.equal(readdirSync(directory), []);
      assert.equal(processesWith(directory), []);
    }));
}

test.run();
