import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareRows } from '../../scripts/lib/postgres/row-counts.ts';

test('compareRows reports each table whose rows differ', () => {
  const table = (name: string, rows: number) => ({ schema: 'public', name, rows });
  assert.equal(compareRows([table('a', 1), table('b', 2)], [table('b', 2), table('a', 1)]), []);
  assert.equal(compareRows([table('a', 1000), table('b', 2)], [table('a', 999), table('c', 0)]), [
    'table public.a has 999 rows, not 1,000',
    'table public.b is missing',
    'table public.c is not in the backup',
  ]);
});

test.run();
