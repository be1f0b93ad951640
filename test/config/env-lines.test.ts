/** test/stack/compose-audit.test.ts has Compose read the same lines. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { envExample } from '../../scripts/lib/config/env-example.ts';
import { unclearLines } from '../../scripts/lib/config/env-lines.ts';
import { CLEAR, UNCLEAR } from '../support/config/env-lines.ts';

for (const behind of Object.keys(CLEAR))
  test(`clear: A=${JSON.stringify(behind)}`, () => {
    for (const text of [`A=${behind}`, `\ufeff# é\n\n  export A=${behind}\nB=1\n`, `B='1'\r\nA =${behind}\n`])
      assert.equal(unclearLines(text), [], JSON.stringify(text));
  });

for (const behind of UNCLEAR)
  test(`unclear: A=${JSON.stringify(behind)}`, () => {
    const [first, ...others] = unclearLines(`B=1\nA=${behind}`);
    assert.match(first!, /^A: Compose would read another value \(line 2\); write it as A='…'/);
    assert.not.match(first!, behind);
    for (const other of others) assert.match(other, /^line 3: is no NAME=value$/); // of a value of two lines
  });

test('what is no assignment is named by its line, and the lines after it are read', () => {
  const text = 'A\nB=1\n: x\n=1\r\nC: 1\nD=a#b\n<<<<<<< HEAD\n';
  assert.equal(
    unclearLines(text).map(problem => problem.replace(/ Compose.*\(/, ' (').replace(/;.*/, '')),
    [1, 3, 4, 5]
      .map(line => `line ${line}: is no NAME=value`)
      .concat('D: (line 6)', 'line 7: is no NAME=value'),
  );
});

test('.env.example is clear', () => assert.equal(unclearLines(envExample()), []));

test.run();
