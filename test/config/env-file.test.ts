import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readEnvFile, setVariable } from '../../scripts/lib/config/env-file.ts';

test('an env file is read as Compose reads it, quotes in quotes included', () => {
  const directory = mkdtempSync(join(tmpdir(), 'env-'));
  try {
    const path = join(directory, 'env');
    writeFileSync(path, "A='p\\'w\"d $1 #2'\nB=plain # why\nC=\n");
    assert.equal(readEnvFile(path), { A: 'p\'w"d $1 #2', B: 'plain', C: '' });
    assert.equal(readEnvFile(join(directory, 'none')), {});
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('an env file keeps everything but the value', () => {
  assert.is(setVariable('', 'A', '1'), 'A=1\n');
  assert.is(setVariable('# A=0\nB=2', 'A', '1'), '# A=0\nB=2\nA=1\n');
  assert.is(setVariable("A='x' # why\nB=2\n", 'A', '1'), 'A=1\nB=2\n');
  assert.is(setVariable('A=1\nexport A = 2\nAA=3\n', 'A', '9'), 'A=1\nexport A =9\nAA=3\n');
  assert.is(setVariable('A=1\n', 'A', '$&$1'), 'A=$&$1\n');
  assert.is(setVariable("A='x'\nB=2\n", 'A', 'x'), "A='x'\nB=2\n");
});

test.run();
