import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { cell, withTable } from '../../scripts/lib/config/env-table.ts';
import { NAMES } from '../../scripts/lib/config/variables.ts';

const DOCUMENT = readFileSync(join(ROOT, 'docs/ENVIRONMENT_MANAGEMENT.md'), 'utf8');

test('the page of the variables is up to date: npx node scripts/lib/config/env-table.ts', () => {
  assert.is(DOCUMENT, withTable(DOCUMENT));
});

test('each variable has one row of five cells', () => {
  const rows = DOCUMENT.split('\n').filter(line => line.startsWith('| `'));
  assert.equal(
    rows.map(line => line.split('`')[1]),
    NAMES,
  );
  for (const line of rows) assert.is(line.split(/(?<!\\)\|/).length, 7, line);
});

test('a page without the markers is refused, and not overwritten', () => {
  assert.throws(() => withTable('# Environments\n'), /needs the lines <!-- variables/);
});

test('a cell shows its text as it is', () => {
  assert.is(cell('a|b, <C_D> `<E_F>|g`'), 'a\\|b, \\<C\\_D\\> `<E_F>\\|g`');
});

test.run();
