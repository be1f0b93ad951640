import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type CommandError, pipeline, type RunOptions, run } from '../scripts/lib/shell.ts';

const sh = (script: string) => ['sh', '-c', script];

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

test('a pipe fails with the stage that failed, wherever it stands', async () => {
  const stages: [string[][], RegExp, number][] = [
    [[sh('echo half; echo "fatal: it broke" >&2; exit 7'), ['cat']], /sh exited with 7: fatal: it broke/, 7],
    [[['echo', 'x'], sh('cat >/dev/null; exit 3'), ['cat']], /sh exited with 3/, 3],
    [[['true'], ['false']], /false exited with 1/, 1],
    [[sh('kill -9 $$'), ['cat']], /sh was ended by signal 9/, 137],
  ];
  for (const [stage, says, status] of stages) {
    const error = await failure(pipeline(...stage));
    assert.match(error.message, says);
    assert.match(error.message, /^could not try it: /);
    assert.is(error.status, status);
  }
});

test('a stage that only lost its reader is not the one to blame', async () => {
  const error = await failure(pipeline(['yes'], sh('echo "error: disk full" >&2; exit 5')));
  assert.match(error.message, /sh exited with 5: error: disk full/);
});

test('a program that is not there is named', async () => {
  const error = await failure(pipeline(['no-such-program'], ['cat']));
  assert.match(error.message, /no-such-program/);
});

test('standard input is empty, whoever started it', async () => {
  assert.is(await run(['cat'], { purpose: 'read' }), '');
  assert.match(await run(['readlink', '/proc/self/fd/0'], { purpose: 'look' }), /^\/dev\/null/);
});

test('a command that takes too long is ended, with all that it started', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'shell-'));
  const mark = join(directory, 'pid');
  try {
    const error = await failure(sh(`sleep 300 & echo $! > ${mark}; wait`), { timeout: 1 });
    assert.match(error.message, /could not try it: no answer in 1 s/);
    const pid = Number(readFileSync(mark, 'utf8'));
    const state = () => {
      try {
        return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2];
      } catch {
        return 'gone';
      }
    };
    while (!['gone', 'Z'].includes(state()!)) await new Promise(resolve => setTimeout(resolve, 20));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('secrets are in the environment, not in the arguments', async () => {
  const output = await run(sh('printf "%s" "$SECRET"; tr "\\0" " " < /proc/$$/cmdline'), {
    purpose: 'look',
    env: { SECRET: 'in-the-environment' },
  });
  assert.is(output.match(/in-the-environment/g)?.length, 1);
});

test.run();
