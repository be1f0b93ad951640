import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareRows } from '../scripts/lib/postgres/row-counts.ts';
import { knowsRestrict } from '../scripts/lib/restore/version-check.ts';
import { partSize } from '../scripts/lib/s3/upload.ts';

test('which versions know \\restrict', () => {
  for (const version of ['13.22', '14.19', '15.14', '15.20', '16.10', '17.6', '18.0', '18', '19.1'])
    assert.is(knowsRestrict(version), true, version);
  for (const version of ['12.22', '13.21', '14.18', '15.13', '15.9', '16.9', '17.5', '17.0'])
    assert.is(knowsRestrict(version), false, version);
});

test('the size of parts: never too many, never too small', () => {
  const MIB = 1024 ** 2;
  for (const size of [
    1,
    16 * MIB,
    17 * MIB,
    900 * 16 * MIB,
    900 * 16 * MIB + 1,
    100 * 1024 * MIB,
    5 * 1024 ** 2 * MIB,
  ]) {
    const part = partSize(size);
    assert.ok(part >= 16 * MIB && part % MIB === 0 && part <= 5 * 1024 * MIB * 2, `${size}: ${part}`);
    assert.ok(Math.ceil(size / part) <= 1000, `${size}: ${Math.ceil(size / part)} parts`);
  }
});

test('rows are compared table by table', () => {
  const table = (name: string, rows: number) => ({ schema: 'public', name, rows });
  assert.equal(compareRows([table('a', 1), table('b', 2)], [table('b', 2), table('a', 1)]), []);
  assert.equal(compareRows([table('a', 1000), table('b', 2)], [table('a', 999), table('c', 0)]), [
    'table public.a has 999 rows, not 1,000',
    'table public.b is missing',
    'table public.c is not in the backup',
  ]);
});

test.run();
