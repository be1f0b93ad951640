/* The test runner fails wherever uvu alone would exit 0 without having proven anything. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../scripts/lib/config.ts';
import { startProgram } from './support/world.ts';

const RUNNER = join(ROOT, 'test/run.ts');
const GOOD = "test('good', () => {});\n";

async function runFile(
  body: string,
  ...options: string[]
): Promise<{ code: number | null; last: string; stdout: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'runner-'));
  try {
    mkdirSync(join(directory, 'tests'));
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
    writeFileSync(join(directory, 'tests/a.test.ts'), `import { test } from 'uvu';\n${body}`);
    const argv = ['--in', join(directory, 'tests'), ...options];
    const { code, stdout } = await startProgram(RUNNER, argv, { PATH: process.env.PATH! }).ended;
    return { code, last: stdout.trim().split('\n').at(-1)!, stdout };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('what passes is counted', async () => {
  const { code, last, stdout } = await runFile(`${GOOD}test('also', () => {});\ntest.run();\n`);
  assert.is(last, '2 passed, 0 failed, 0 skipped', stdout);
  assert.is(code, 0);
});

for (const [what, body, expected] of [
  [
    'a failing test',
    `${GOOD}test('bad', () => { throw new Error('x'); });\ntest.run();`,
    '1 passed, 1 failed, 0 skipped',
  ],
  ['a thrown string', "test('bad', () => { throw 'x'; });\ntest.run();", '0 passed, 1 failed, 0 skipped'],
  ['no test.run()', GOOD, '0 passed, 1 failed, 0 skipped'],
  ['no test at all', 'test.run();', '0 passed, 1 failed, 0 skipped'],
  [
    'a before hook that throws',
    `test.before(() => { throw new Error('x'); });\n${GOOD}test.run();`,
    '0 passed, 1 failed, 0 skipped',
  ],
  [
    'an .only that is left in',
    `${GOOD}test.only('one', () => {});\ntest.run();`,
    '1 passed, 1 failed, 1 skipped',
  ],
  ['a skipped test', `${GOOD}test.skip('later', () => {});\ntest.run();`, '1 passed, 1 failed, 1 skipped'],
  ['an early process.exit(0)', `process.exit(0);\n${GOOD}test.run();`, '0 passed, 1 failed, 0 skipped'],
  [
    'a file that does not load',
    `import './missing.ts';\n${GOOD}test.run();`,
    '0 passed, 1 failed, 0 skipped',
  ],
] as const) {
  test(`${what} fails the run`, async () => {
    const { code, last, stdout } = await runFile(body);
    assert.is(code, 1, stdout);
    assert.is(last, expected, stdout);
  });
}

test('a file that hangs is ended, with what ran then', async () => {
  const body = `import { spawn } from 'node:child_process';
    test('hangs', () => { spawn('sleep', ['600.25']); return new Promise(() => {}); });\ntest.run();`;
  const { code, last, stdout } = await runFile(body, '--seconds', '3');
  assert.is(code, 1, stdout);
  assert.is(last, '0 passed, 1 failed, 0 skipped', stdout);
  assert.match(stdout, /after 3 s it was ended; what ran then:[\s\S]*sleep 600\.25/);
});

test('a pattern that matches nothing fails the run', async () => {
  const argv = ['no-such-file'];
  const { code, stdout } = await startProgram(RUNNER, argv, { PATH: process.env.PATH! }).ended;
  assert.is(code, 1);
  assert.match(stdout, /0 passed, 1 failed, 0 skipped\n$/);
});

test.run();
