import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startChild } from '../../support/core/child.ts';

const APPENDS = join(import.meta.dirname, '../../support/core/appends.ts');

test('of four processes that write and rotate, and are killed at any moment, no line is lost or kept twice', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rotate-'));
  const path = join(directory, 'x.log');
  const outputs: [name: string, output: string][] = [];
  try {
    for (let round = 0; round < 25; round++) {
      const names = [0, 1, 2, 3].map(number => `${round}.${number}`);
      const children = names.map(name =>
        startChild(process.execPath, [APPENDS, path, name, '100000', '300']),
      );
      try {
        for (const [number, child] of children.entries()) {
          await child.line(new RegExp(`^${20 * number + round}$`));
          await child.stop('SIGKILL');
          assert.not.match(child.output(), /rror/);
        }
      } finally {
        await Promise.all(children.map(child => child.stop('SIGKILL')));
      }
      outputs.push(...children.map((child, number): [string, string] => [names[number]!, child.output()]));
    }
    const lines = readdirSync(directory)
      .flatMap(name => readFileSync(join(directory, name), 'utf8').split('\n'))
      .filter(Boolean);
    const kept = Map.groupBy(lines, line => line.split(' ')[0]!);
    assert.is(outputs.length, 100);
    for (const [name, output] of outputs) {
      const numbers = kept.get(name)!.map(line => Number(line.split(' ')[1]));
      numbers.sort((a, b) => a - b);
      assert.ok(numbers.length >= output.trim().split('\n').length, 'what it told is there');
      assert.equal(
        numbers,
        numbers.map((_, at) => at),
        name,
      );
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.run();
