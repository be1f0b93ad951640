import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  readEnvFile,
  refuseUnwritable,
  setVariable,
  writeVariables,
} from '../../scripts/lib/config/env-file.ts';

test('an env file is read as Compose reads it, quotes in quotes included', () => {
  const directory = mkdtempSync(join(tmpdir(), 'env-'));
  try {
    const path = join(directory, 'env');
    writeFileSync(path, "A='p\\'w\"d $1 #2'\nB=plain # why\nC=\n");
    assert.equal(readEnvFile(path), { values: { A: 'p\'w"d $1 #2', B: 'plain', C: '' }, problems: [] });
    assert.equal(readEnvFile(join(directory, 'none')), { values: {}, problems: [] });
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

/** Writes a variable into a file of these bytes. @returns what the file is then */
async function written(bytes: string, prepare: (path: string) => unknown = () => {}) {
  const directory = mkdtempSync(join(tmpdir(), 'env-'));
  try {
    const path = join(directory, 'env');
    writeFileSync(path, Buffer.from(bytes, 'latin1'));
    const prepared = prepare(path);
    const named = typeof prepared === 'string' ? prepared : path;
    const error = await writeVariables(named, { KEY: 'value' }).catch(thrown => thrown);
    const { mode, uid } = statSync(path);
    const isLink = lstatSync(named, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
    return {
      error: error?.message ?? '',
      text: readFileSync(path, 'latin1'),
      mode: mode & 0o7777,
      uid,
      isLink,
      names: readdirSync(directory),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('a variable is written, and all other bytes, the mode, the owner and a link to the file stay', async () => {
  for (const [before, after] of [
    ['', 'KEY=value\n'],
    ['# caf\xe9 \xff\xfe\r\nA=1\r\nKEY=\r\nB=2', '# caf\xe9 \xff\xfe\r\nA=1\r\nKEY=value\r\nB=2'],
    ['A=1\r\nB=2', 'A=1\r\nB=2\r\nKEY=value\r\n'],
    ['KEY=old # why\nB=2', 'KEY=value\nB=2'],
    ["A='two\nlines'\n#KEY=no\n", "A='two\nlines'\n#KEY=no\nKEY=value\n"],
  ] as const)
    assert.is((await written(before)).text, after);
  for (const mode of [0o600, 0o640, 0o644])
    assert.is((await written('A=1\n', path => chmodSync(path, mode))).mode, mode);
  const linked = await written('A=1\n', path => {
    symlinkSync(path, `${path}.link`);
    return `${path}.link`;
  });
  assert.equal([linked.text, linked.isLink, linked.names], ['A=1\nKEY=value\n', true, ['env', 'env.link']]);
  if (process.getuid!() === 0)
    assert.is((await written('A=1\n', path => chownSync(path, 12_345, 0))).uid, 12_345);
});

test('several variables are written at once; the same values again write nothing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'env-'));
  try {
    const path = join(directory, 'env');
    writeFileSync(path, 'B=1\n');
    const values = { A: 'x:1', B: 'y@2' };
    await writeVariables(path, values);
    assert.is(readFileSync(path, 'utf8'), 'B=y@2\nA=x:1\n');
    const { ino } = statSync(path);
    await writeVariables(path, values);
    assert.is(statSync(path).ino, ino);
    await refuseUnwritable(path);
    chmodSync(path, 0o400);
    const error = await refuseUnwritable(path).catch(thrown => thrown);
    assert.match(error?.message, /can't write .*env: it is read-only/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a file that can’t take it stays as it is', async () => {
  const readOnly = await written('A=1\n', path => chmodSync(path, 0o400));
  assert.match(readOnly.error, /can't set KEY in .*env: it is read-only/);
  assert.equal([readOnly.text, readOnly.names], ['A=1\n', ['env']]);
  const within = "A='1\nKEY=\n2'\n";
  const quoted = await written(within);
  assert.match(quoted.error, /a value of several lines has such a line/);
  assert.is(quoted.text, within);
  const missing = await written('', path => `${path}-none`);
  assert.match(missing.error, /can't set KEY in .*env-none: /);
});

test.run();
