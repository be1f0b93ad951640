import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startScript } from '../../support/core/world.ts';
import { assertEmbeddedDrill, assertNothingLeft, inTemporary } from '../../support/drill/embedded.ts';

test('embedded: backs up, destroys, restores, compares, and leaves nothing behind', () =>
  assertEmbeddedDrill(env => startScript('drill', ['--embedded', '--json'], env), 500_000, 1e6));

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
      assertNothingLeft(directory);
    }));
}

test.run();
