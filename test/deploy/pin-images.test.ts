import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { setVariable } from '../../scripts/lib/config/env-file.ts';

test('an env file keeps everything but the value', () => {
  assert.is(setVariable('', 'A', '1'), 'A=1\n');
  assert.is(setVariable('# A=0\nB=2', 'A', '1'), '# A=0\nB=2\nA=1\n');
  assert.is(setVariable("A='x' # why\nB=2\n", 'A', '1'), 'A=1\nB=2\n');
  assert.is(setVariable('A=1\nexport A = 2\nAA=3\n', 'A', '9'), 'A=1\nexport A =9\nAA=3\n');
  assert.is(setVariable('A=1\n', 'A', '$&$1'), 'A=$&$1\n');
  assert.is(setVariable("A='x'\nB=2\n", 'A', 'x'), "A='x'\nB=2\n");
});

test.run();
