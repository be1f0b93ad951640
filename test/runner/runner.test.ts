/* The test runner fails wherever uvu alone would exit 0 without having proven anything. */
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { programsBut } from '../support/core/programs.ts';
import { startProgram, until } from '../support/core/world.ts';
import { findTests } from './files.ts';
import { runFile } from './run-file.ts';

const RUNNER = join(ROOT, 'test/run.ts');
/** The recorder's own, by its path: through the symbolic link below it would be another module. */
const UVU = join(ROOT, 'node_modules/uvu/dist/index.mjs');
const GOOD = "test('good', () => {});\n";
const GOOD_RUN = `${GOOD}test.run();`;

/** Puts test files into `tests`, below a new directory. */
function directoryOf(files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'runner-'));
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  for (const [name, body] of Object.entries(files)) {
    const file = join(directory, 'tests', name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `import { test } from '${UVU}';\n${body}`);
  }
  return directory;
}

/** Runs the runner over files of its own. */
async function runFiles(
  files: Record<string, string>,
  options: string[] = [],
  command = [RUNNER],
  path = process.env.PATH!,
): Promise<{ code: number | null; last: string; stdout: string; stderr: string }> {
  const directory = directoryOf(files);
  try {
    const [program = '', ...before] = command;
    const argv = [...before, '--in', join(directory, 'tests'), ...options];
    const env = { PATH: path, HOME: directory };
    const { code, stdout, stderr } = await startProgram(program, argv, env).ended;
    return { code, last: stdout.trim().split('\n').at(-1)!, stdout, stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const runOne = (body: string, ...options: string[]) => runFiles({ 'a.test.ts': body }, options);

test('what passes is counted', async () => {
  const { code, last, stdout } = await runOne(`${GOOD}test('also', () => {});\ntest.run();\n`);
  assert.equal([code, last], [0, '2 passed, 0 failed, 0 skipped'], stdout);
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
    `import '../missing.ts';\n${GOOD}test.run();`,
    '0 passed, 1 failed, 0 skipped',
  ],
] as const) {
  test(`${what} counts as failed`, async () => {
    const directory = directoryOf({ 'a.test.ts': body });
    try {
      const [file] = findTests(join(directory, 'tests'), { words: [], fast: false }, () => 0);
      const { passed, failed, skipped, output } = await runFile(join(directory, 'tests'), file!, 60);
      assert.is(`${passed} passed, ${failed} failed, ${skipped} skipped`, expected, output);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

test('a file that runs the tests of another one is judged by that one, too', async () => {
  const files = {
    'a/a.test.ts': "import '../b/b.test.ts';\n",
    'b/b.test.ts': 'test.only("one", () => {});\ntest.run();',
  };
  const directory = directoryOf(files);
  try {
    const [file] = findTests(join(directory, 'tests'), { words: ['a/'], fast: false }, () => 0);
    assert.is(file!.path, 'a/a.test.ts');
    const { passed, failed, problems, output } = await runFile(join(directory, 'tests'), file!, 60);
    assert.equal([passed, failed, problems], [1, 1, ['.only is left in']], output);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('what failed or was skipped in any file fails the run', async () => {
  for (const [body, expected] of [
    ["test('bad', () => { throw new Error('x'); });\ntest.run();", '1 passed, 1 failed, 0 skipped'],
    ["test.skip('later', () => {});\ntest.run();", '1 passed, 1 failed, 1 skipped'],
  ] as const) {
    const { code, last, stdout } = await runFiles({ 'a.test.ts': body, 'b.test.ts': GOOD_RUN });
    assert.is(last, expected, stdout);
    assert.is(code, 1, stdout);
  }
});

test('a file that hangs is ended, and its running test is named', async () => {
  const body = `import { spawn } from 'node:child_process';
    test('hangs', () => { spawn('sleep', ['600.25']); return new Promise(() => {}); });\ntest.run();`;
  const { code, last, stdout } = await runOne(body, '--seconds', '3');
  assert.is(code, 1, stdout);
  assert.is(last, '0 passed, 1 failed, 0 skipped', stdout);
  assert.match(stdout, /after 3 s it was ended; what ran then:[\s\S]*sleep 600\.25/);
});

test('of a test that failed, the last lines of what it had started are shown', async () => {
  const body = `import { execFile, spawn } from 'node:child_process';
    import { openSync } from 'node:fs';
    import { once } from 'node:events';
    const say = (text, code = 0) => ['-c', 'for i in $(seq 30); do echo ' + text + ' line $i; done; exit ' + code];
    await once(execFile('sh', say('outside')), 'close');
    test('good', () => once(execFile('sh', say('unwanted')), 'close'));
    test('bad', async () => {
      await once(spawn('sh', say('wanted', 7), { stdio: ['ignore', 'inherit', 'pipe'] }), 'exit');
      const piped = spawn('sh', say('piped', 3));
      let read = '';
      piped.stdout.on('data', text => { read += text; });
      await once(piped, 'close');
      if (read.split('line').length !== 31) throw new Error('the recorder took something away');
      const log = openSync(import.meta.dirname + '/server.log', 'a');
      await once(spawn('sh', say('logged'), { stdio: ['ignore', log, log] }), 'exit');
      throw new Error('x');
    });
    test.run();`;
  const { code, stdout } = await runOne(body);
  assert.is(code, 1);
  const shown = stdout.slice(stdout.indexOf('processes of “bad”'));
  assert.match(shown, /\$ sh -c .*piped.*\(exit 3\)\n(?: +piped line \d+\n){9} +piped line 30\n/);
  assert.match(shown, /\$ sh -c .*logged.*\(exit 0\)\n(?: +logged line \d+\n){9} +logged line 30\n/);
  assert.match(shown, /outside of its tests:\n +\$ sh -c .*outside.*\n[\s\S]*outside line 30/);
  assert.not.match(stdout, /unwanted line 30/);
});

test('what a process printed that is no text is not shown', async () => {
  const body = `import { execFile } from 'node:child_process';
    import { once } from 'node:events';
    test('bad', async () => {
      const print = "head -c 3000 /dev/urandom; printf 'text again\\\\n\\\\0\\\\1\\\\n'; head -c 900 /dev/urandom; echo; echo end";
      await once(execFile('sh', ['-c', print]), 'close');
      throw new Error('x');
    });
    test.run();`;
  const { code, stdout } = await runOne(body);
  assert.is(code, 1);
  const shown = stdout.slice(stdout.indexOf('(exit 0)'), stdout.indexOf('0 passed, 1 failed, 0'));
  assert.match(shown, /^\(exit 0\)\n(?: +\(no text\)\n)?(?: +.*text again\n)? +\(no text\)\n +end\n\s*$/);
});

test('the end of a run repeats what failed and why, and nothing that processes printed', async () => {
  const failing = `import { execFileSync } from 'node:child_process';
    import * as assert from 'uvu/assert';
    test('good', () => {});
    test('bad', () => { execFileSync('echo', ['of a process']); assert.is(1, 2, 'one is not two'); });
    test('worse', () => { throw new Error('the second reason'); });
    test.run();`;
  const broken = `throw new Error('it could not begin');\n${GOOD_RUN}`;
  const files = { 'failing.test.ts': failing, 'broken.test.ts': broken, 'good.test.ts': GOOD_RUN };
  const { code, last, stdout } = await runFiles(files);
  assert.is(code, 1);
  assert.is(last, '2 passed, 3 failed, 0 skipped');
  const end = stdout.slice(stdout.indexOf('longest files'));
  assert.match(end, /^✗ failing\.test\.ts: exit 1, 2 of 3 failed$/m);
  assert.match(end, /FAIL {2}"bad"[\s\S]*one is not two[\s\S]*FAIL {2}"worse"[\s\S]*the second reason/);
  assert.match(end, /^✗ broken\.test\.ts: exit 1, no test ran.*\n[\s\S]*it could not begin/m);
  assert.not.match(end, /of a process|✗ good/);
});

test('of a run that passes, nothing that processes printed is shown', async () => {
  const body = `import { execFile } from 'node:child_process';
    import { once } from 'node:events';
    test('good', () => once(execFile('sh', ['-c', 'echo quiet line']), 'close'));\ntest.run();`;
  const { code, stdout } = await runOne(body);
  assert.is(code, 0, stdout);
  assert.not.match(stdout, /quiet line/);
});

test('it shows its progress and the slowest files', async () => {
  const slow =
    "import { setTimeout } from 'node:timers/promises';\ntest('slow', () => setTimeout(1200));\ntest.run();";
  const busy =
    "test('busy', () => { for (const end = Date.now() + 400; Date.now() < end; ); });\ntest.run();";
  const { code, stdout } = await runFiles({ 'slow.test.ts': slow, 'busy.test.ts': busy });
  assert.is(code, 0, stdout);
  assert.match(stdout, /^\[1\/2, about \d+ (s|min) left\] ✓ busy\.test\.ts: 1 passed \(\d+\.\d s\)$/m);
  assert.match(stdout, /^\[2\/2\] ✓ slow\.test\.ts: 1 passed/m);
  const table = stdout.slice(stdout.indexOf('longest files'));
  assert.match(
    table,
    /^longest files +wall processor\nslow\.test\.ts +\d+ s +\d+ s\nbusy\.test\.ts +\d+ s +\d+ s\n/,
  );
});

const EACH = {
  'a.test.ts': GOOD_RUN,
  'stack/b.test.ts': GOOD_RUN,
  'long/integration/c.test.ts': GOOD_RUN,
  'long/stack/d.test.ts': GOOD_RUN,
};

test('--long runs only the long suite; with --fast, only its files that need no engine', async () => {
  const long = await runFiles(EACH, ['--long', '--fast']);
  assert.is(long.last, '1 passed, 0 failed, 0 skipped', long.stdout);
  assert.match(long.stdout, /long\/integration\/c\.test\.ts/);
});

test('where there is no engine and none can be installed, the others run, and the last line says what is missing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'no-docker-'));
  try {
    const path = programsBut(directory, process.env.PATH!, /^docker$/);
    // In a user namespace without a mapping, this process is nobody and may still read its files.
    const nobody = ['unshare', '--user', RUNNER];
    const all = await runFiles(EACH, [], nobody, path);
    assert.match(
      all.last,
      /^1 passed, 0 failed, 1 skipped; 1 files could not run: .*there is no docker command.* not root/,
      all.stdout + all.stderr,
    );
    assert.is(all.code, 1);
    assert.match(all.stderr, /Install Docker Engine 25 or newer/);
    const fast = await runFiles(EACH, ['--fast'], nobody, path);
    assert.is(fast.last, '1 passed, 0 failed, 0 skipped', '--fast leaves out what needs an engine');
    assert.is(fast.code, 0);
    assert.match(fast.stdout, / a\.test\.ts/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a run that is interrupted ends what it has started, and fails', async () => {
  const mark = `${600 + process.pid / 1e7}`;
  const body = `import { spawn } from 'node:child_process';\nimport { renameSync, writeFileSync } from 'node:fs';
    import { startTestS3 } from '${join(ROOT, 'test/support/s3/test-s3.ts')}';
    test('waits', async () => {
      const s3 = await startTestS3();
      spawn('sleep', ['${mark}']);
      writeFileSync('runs.new', s3.directory);
      renameSync('runs.new', 'runs');
      await new Promise(() => {});
    });
    test.run();`;
  const directory = directoryOf({ 'a.test.ts': body });
  try {
    const env = { PATH: process.env.PATH!, HOME: directory };
    const run = startProgram(RUNNER, ['--in', join(directory, 'tests')], env, { cwd: directory });
    await until('the test runs', () => existsSync(join(directory, 'runs')));
    const store = readFileSync(join(directory, 'runs'), 'utf8');
    assert.ok(existsSync(store), 'the S3 server that the runner holds for it');
    run.child.kill('SIGTERM');
    const { code, stdout } = await run.ended;
    assert.is(code, 1, stdout);
    assert.match(stdout, /0 passed, 1 failed, 0 skipped\n$/);
    const left = () => globSync('/proc/[0-9]*/cmdline').filter(path => contains(path, mark));
    await until('nothing is left', () => left().length === 0 && !existsSync(store));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

function contains(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8').includes(text);
  } catch {
    return false; // it has just ended
  }
}

test('a pattern that matches nothing fails the run', async () => {
  const argv = ['no-such-file'];
  const { code, stdout } = await startProgram(RUNNER, argv, { PATH: process.env.PATH! }).ended;
  assert.is(code, 1);
  assert.match(stdout, /0 passed, 1 failed, 0 skipped\n$/);
});

test.run();
