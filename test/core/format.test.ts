import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bytes, count, duration, isTime, plural, stamp, table, utc } from '../../scripts/lib/core/format.ts';

test('bytes: binary units, three digits', () => {
  const expected: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [10 * 1024, '10.0 KiB'],
    [150 * 1024 ** 2, '150 MiB'],
    [1.43 * 1024 ** 3, '1.43 GiB'],
    [3000 * 1024 ** 4, '3000 TiB'],
  ];
  for (const [value, text] of expected) assert.is(bytes(value), text);
});

test('durations in readable units', () => {
  const expected: [number, string][] = [
    [0, '0.0 s'],
    [0.42, '0.4 s'],
    [9.96, '10 s'],
    [59.7, '1 min'],
    [192, '3 min 12 s'],
    [3599.6, '1 h'],
    [4 * 3600, '4 h'],
    [86_399.7, '1 d'],
    [2 * 86_400 + 4 * 3600, '2 d 4 h'],
  ];
  for (const [value, text] of expected) assert.is(duration(value), text);
});

test('counts and plurals', () => {
  assert.is(count(1234567), '1,234,567');
  for (const value of [0, 7, 999, 1000, 12345, 999999, 1e6, -123456, Number.MAX_SAFE_INTEGER])
    assert.is(count(value), value.toLocaleString('en-US'));
  assert.equal(
    [0, 1, 2].map(value => plural(value, 'table')),
    ['0 tables', '1 table', '2 tables'],
  );
});

test('times are UTC', () => {
  const time = new Date('2026-01-31T03:00:07.999+01:00');
  assert.is(utc(time), '2026-01-31 02:00:07 UTC');
  assert.is(utc('2026-01-31T02:00:07Z'), '2026-01-31 02:00:07 UTC');
  assert.is(stamp(time), '20260131_020007');
});

test('a time must exist, in UTC', () => {
  for (const time of ['2026-01-31T02:00:07Z', '2026-01-31T02:00:07.123Z', '2024-02-29T23:59:59.9Z'])
    assert.ok(isTime(time), time);
  for (const other of [
    ...['2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-01-31T24:00:00Z', '2026-01-31T02:00:60Z'],
    ...['2026-01-31T02:00:07', '2026-01-31T02:00:07+00:00', '2026-01-31T02:00Z', '2026-01-31', '', 'now'],
    ...['2026-01-31 02:00:07Z', ' 2026-01-31T02:00:07Z', '2026-01-31T02:00:07Z\n'],
  ])
    assert.not.ok(isTime(other), other);
});

test('a table is aligned, numbers to the right', () => {
  assert.is(
    table(
      ['name', '>rows', ''],
      [
        ['a', '1', 'x'],
        ['longer', '1,000', ''],
      ],
    ),
    'name     rows\na           1  x\nlonger  1,000',
  );
  assert.is(table(['only', 'header'], []), 'only  header');
});

test('where the terminal is narrower than a table, each row continues on further lines', () => {
  const header = ['id', '>size', 'reason', 'label'];
  const rows = [
    ['shop_20260131', '1 GiB', 'one of the newest', 'before v2'],
    ['shop_20260130', '12 B', 'expired', ''],
  ];
  const wide = table(header, rows, Number.POSITIVE_INFINITY);
  assert.is(table(header, rows, 50), wide);
  assert.equal(table(header, rows, 49).split('\n'), [
    'id              size  reason',
    '    label',
    'shop_20260131  1 GiB  one of the newest',
    '    before v2',
    'shop_20260130   12 B  expired',
  ]);
  for (const width of [24, 30, 40, 44, 60])
    for (const line of table(header, rows, width).split('\n')) assert.ok(line.length <= width, line);
  const words = table(['id', 'reason'], [['a', 'much longer than the terminal is wide']], 24);
  assert.equal(words.split('\n'), [
    'id',
    '    reason',
    'a',
    '    much longer than the',
    '    terminal is wide',
  ]);
});

test.run();
