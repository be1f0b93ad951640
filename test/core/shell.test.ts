import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock } from 'node:test';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pipeline } from '../../scripts/lib/core/pipeline.ts';
import { type CommandError, type RunOptions, run, sh } from '../../scripts/lib/core/shell.ts';

const shell = (script: string) => ['sh', '-c', script];

/** @returns what a command that must fail failed with */
async function failure(argv: string[], options: Partial<RunOptions> = {}): Promise<CommandError> {
  try {
    await run(argv, { purpose: 'try it', ...options });
  } catch (error) {
    return error as CommandError;
  }
  throw new Error('it did not fail');
}

test('a pipe passes every word and byte as it is', async () => {
  const words = ['a b', "it's", '"q"', '$HOME', '`id`', '\\', '*', '', 'ü', 'line\nbreak', '!', '~', '#x'];
  const output = await run(pipeline(['printf', '%s|', ...words], ['cat']), { purpose: 'print' });
  assert.is(output, `${words.join('|')}|`);
});

test('a template is bash, and each value in it is one word of it', async () => {
  const value = "it's a $HOME `id` ;\n*";
  assert.is(await sh('print')`printf '%s|' ${value} ${['a', 'b c']} "x  y"`, `${value}|a|b c|x  y|`);
  assert.is(await sh('print')`printf 'a\n\n' | cat; printf '\n'`, 'a');
  const error = await sh('see what is not there')`ls ${'/not there'}`.catch(each => each);
  assert.match(error.message, /^could not see what is not there: ls: .*\/not there/);
  const status = await sh('fail')`sh -c 'exit 7'`.catch(each => each);
  assert.is(status.hint, 'no advice is known for this error. The command was: sh (exit status 7).');
});

test('bytes that are no text go to a file unchanged', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'shell-'));
  const file = openSync(join(directory, 'out'), 'w');
  try {
    await run(pipeline(['printf', '\\000\\377\\200\\r\\n'], ['cat']), { purpose: 'print', stdout: file });
    assert.equal([...readFileSync(join(directory, 'out'))], [0, 255, 128, 13, 10]);
  } finally {
    closeSync(file);
    rmSync(directory, { recursive: true });
  }
});

test('a pipe fails with the stage that failed, at any position', async () => {
  const stages: [string[][], RegExp, number][] = [
    [
      [shell('echo half; echo "fatal: it broke" >&2; exit 7'), ['cat']],
      /sh exited with 7: fatal: it broke/,
      7,
    ],
    [[['echo', 'x'], shell('cat >/dev/null; exit 3'), ['cat']], /sh exited with 3/, 3],
    [[['true'], ['false']], /false exited with 1/, 1],
    [[shell('kill -9 $$'), ['cat']], /sh was ended by signal 9/, 137],
  ];
  for (const [stage, says, status] of stages) {
    const error = await failure(pipeline(...stage));
    assert.match(error.message, says);
    assert.match(error.message, /^could not try it: /);
    assert.is(error.status, status);
  }
});

test('a stage that only lost its reader is not reported as the cause', async () => {
  const error = await failure(pipeline(['yes'], shell('echo "error: disk full" >&2; exit 5')));
  assert.match(error.message, /sh exited with 5: error: disk full/);
});

test('a program that is not there is named', async () => {
  const error = await failure(pipeline(['no-such-program'], ['cat']));
  assert.match(error.message, /no-such-program/);
});

test('standard input is empty, whatever started it', async () => {
  assert.is(await run(['cat'], { purpose: 'read' }), '');
  assert.match(await run(['readlink', '/proc/self/fd/0'], { purpose: 'look' }), /^\/dev\/null/);
});

/** Waits for an event, for a minute at most. Not by setTimeout, which the tests below hold. */
function until(event: () => boolean): Promise<void> {
  const limit = performance.now() + 60_000;
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      const late = performance.now() > limit;
      if (!late && !event()) return;
      clearInterval(timer);
      if (late) reject(new Error(`in vain: ${event}`));
      else resolve();
    }, 10);
  });
}

/** Runs a script until it has written a process's id to $MARK, then sets the clock forward; that process must end. */
async function afterMilliseconds(times: number[], script: string): Promise<CommandError> {
  const directory = mkdtempSync(join(tmpdir(), 'shell-'));
  const MARK = join(directory, 'pid');
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  mock.timers.enable({ apis: ['setTimeout'] });
  let pid = 0;
  try {
    let error: CommandError | undefined;
    void failure(shell(script), { env: { MARK }, timeout: 1 }).then(failed => {
      error = failed;
    });
    await until(() => read(MARK).endsWith('\n'));
    pid = Number(read(MARK));
    for (const time of times) mock.timers.tick(time);
    await until(() => error !== undefined);
    await until(() => !existsSync(`/proc/${pid}`) || / Z /.test(read(`/proc/${pid}/stat`)));
    return error!;
  } finally {
    mock.timers.reset();
    rmSync(directory, { recursive: true });
    if (pid && existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
  }
}

test('a command that takes too long is ended, with all that it started', async () => {
  const error = await afterMilliseconds([1000], 'sleep 300 & echo $! > $MARK; wait');
  assert.is(error.message, 'could not try it: no answer in 1 s');
});

test('a command that does not end when it is asked to is killed five seconds later', async () => {
  const script = 'trap "" TERM; echo $$ > $MARK; while :; do sleep 300; done';
  const error = await afterMilliseconds([1000, 5000], script);
  assert.is(error.message, 'could not try it: no answer in 1 s');
});

test('secrets are in the environment, not in the arguments', async () => {
  const output = await run(shell('printf "%s" "$SECRET"; tr "\\0" " " < /proc/$$/cmdline'), {
    purpose: 'look',
    env: { SECRET: 'in-the-environment' },
  });
  assert.is(output.match(/in-the-environment/g)?.length, 1);
});

test.run();
