/* Which tables of a backup --table names. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packDefinitions } from '../../scripts/lib/backup/packed-definitions.ts';
import { messageOf, type OperationalError } from '../../scripts/lib/core/errors.ts';
import { chooseTables, quoted, tablesOf } from '../../scripts/lib/restore/choose-tables.ts';

const KNOWN = [
  { schema: 'public', name: 'members' },
  { schema: 'public', name: 'Members' },
  { schema: 'shop', name: 'members' },
  { schema: 'a.b', name: 'c' },
  { schema: 'a', name: 'b.c' },
  { schema: 'odd"one', name: 'ta ble' },
  { schema: 'public', name: 'topics' },
];
const choose = (...wanted: string[]) => chooseTables(KNOWN, wanted).map(quoted);

test('plain and quoted names', () => {
  assert.equal(choose('public.members'), ['"public"."members"']);
  assert.equal(choose('public.Members'), ['"public"."Members"']);
  assert.equal(choose('"public"."Members"', 'public.topics'), ['"public"."Members"', '"public"."topics"']);
  assert.equal(choose('public."members"', 'public.members'), ['"public"."members"'], 'twice is once');
  assert.equal(choose('"a"."b.c"'), ['"a"."b.c"']);
  assert.equal(choose('"odd""one"."ta ble"'), ['"odd""one"."ta ble"']);
});

for (const [wanted, message, hint] of [
  [
    ['public.member'],
    /has no table public\.member$/,
    /similar are: public\.members, public\.Members, shop\.members/,
  ],
  [['members'], /has no table members/, /public\.members/],
  [['PUBLIC.TOPICS'], /has no table/, /similar are: public\.topics/],
  [['"public"."MEMBERS"'], /has no table/, /public\.members/],
  [['nothing.alike'], /has no table nothing\.alike/, /schema\.table/],
  [['a.b.c'], /can mean "a\.b"\."c" or "a"\."b\.c"/, /quote/],
  [['public.members', 'shop.members'], /have the same name/, /two runs/],
  [['public.topics; DROP TABLE x'], /has no table/, /./],
] as [string[], RegExp, RegExp][])
  test(`refused: ${wanted.join(', ')}`, () => {
    try {
      choose(...wanted);
    } catch (error) {
      assert.match(messageOf(error), message);
      assert.match((error as OperationalError).hint, hint);
      assert.is((error as OperationalError).exitCode, 2);
      return;
    }
    assert.unreachable();
  });

test('a partitioned table is known from the definitions', () => {
  const definitions = packDefinitions({
    table: { 'public.part': '1', 'public.part_1': '2', '"S.x"."T"': '3' },
  });
  const tables = [{ schema: 'public', name: 'part_1', rows: 1 }];
  assert.equal(tablesOf({ tables, definitions }).map(quoted), [
    '"public"."part_1"',
    '"public"."part"',
    '"S.x"."T"',
  ]);
  assert.equal(tablesOf({ tables, definitions: null }).map(quoted), ['"public"."part_1"']);
});

test.run();
