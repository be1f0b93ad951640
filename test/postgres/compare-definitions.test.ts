import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  compareDefinitions,
  dependsOnVersion,
  OWNERSHIP,
} from '../../scripts/lib/postgres/compare-definitions.ts';
import type { Definitions } from '../../scripts/lib/postgres/definitions.ts';

const USERS: Definitions = {
  table: { 'public.users': 'a' },
  column: { 'public.users.id': 'b', 'public.users."a.b"': 'c' },
  'default of': { 'column public.users.id': 'd' },
  index: { 'public.users_pkey': 'e' },
  constraint: { 'users_pkey on public.users': 'f' },
  trigger: { '" on " on public.users': 'g' },
  'owner of': { 'table public.users': 'writer' },
  'privileges of': { 'table public.users': 'h', 'column public.users.id': 'i' },
  'comment on': { 'table public.users': 'j' },
};
const messages = (...args: Parameters<typeof compareDefinitions>) =>
  compareDefinitions(...args).map(({ message }) => message);

test('equal definitions have no differences, in whatever order', () => {
  assert.equal(messages({}, {}), []);
  const backwards = Object.fromEntries(
    Object.entries(USERS)
      .reverse()
      .map(([kind, hashes]) => [kind, Object.fromEntries(Object.entries(hashes).reverse())]),
  );
  assert.equal(messages(USERS, backwards), []);
});

test('of a table that is missing or new, what belongs to it is not listed', () => {
  const index = 'index public.users_pkey';
  assert.equal(messages(USERS, {}), [`${index} is missing`, 'table public.users is missing']);
  assert.equal(messages({}, USERS), [
    `${index} is not in the backup`,
    'table public.users is not in the backup',
  ]);
  const others = { ...USERS, table: { ...USERS.table, 'public.use': 'a', 'public.users_pkey': 'a' } };
  assert.equal(messages(others, USERS), [
    'table public.use is missing',
    'table public.users_pkey is missing',
  ]);
  const odd = { table: { 'public."a on b"': 'a' }, column: { 'public."a on b".c': 'b' } };
  assert.equal(messages(odd, {}), ['table public."a on b" is missing']);
});

test('each difference has its kind, name and sentence', () => {
  const actual = {
    ...USERS,
    column: { 'public.users.id': 'x' },
    'owner of': { 'table public.users': 'postgres' },
    'privileges of': { 'table public.users': 'h', 'table public.more': 'k' },
  };
  assert.equal(compareDefinitions(USERS, actual, OWNERSHIP), [
    {
      kind: 'column',
      identity: 'public.users."a.b"',
      problem: 'missing',
      message: 'column public.users."a.b" is missing',
    },
    {
      kind: 'column',
      identity: 'public.users.id',
      problem: 'different',
      message: 'column public.users.id is not as in the backup',
    },
  ]);
  assert.equal(messages(USERS, actual).slice(2), [
    'owner of table public.users is postgres, not writer',
    'privileges of column public.users.id are not those of the backup',
    'privileges of table public.more are not those of the backup',
  ]);
});

test('a sequence that moved while it was dumped may be at any value between', () => {
  const at = (value: string) => ({ 'value of': { 'sequence public.s': value } });
  const wrong = (expected: string, ...values: string[]) =>
    values.filter(value => messages(at(expected), at(value)).length > 0);
  assert.equal(wrong('5..8', '4', '5', '6', '8', '9'), ['4', '9']);
  assert.equal(wrong('-5..-8', '-4', '-5', '-6', '-8', '-9', '6'), ['-4', '-9', '6']);
  assert.equal(wrong('-1..1', '-2', '0', '2'), ['-2', '2']);
  assert.equal(wrong('5', '4', '5', '6'), ['4', '6']);
  assert.equal(wrong('9007199254740993', '9007199254740992', '9007199254740993'), ['9007199254740992']);
  assert.equal(wrong('*', '-9', '9'), []);
  assert.equal(messages(at('5'), at('4')), ['value of sequence public.s is 4, not 5']);
});

test('schema public of a new database is no difference, but another schema is', () => {
  const schema = (name: string) => ({
    schema: { [name]: '' },
    'owner of': { [`schema ${name}`]: 'postgres' },
  });
  assert.equal(messages({}, schema('public')), []);
  assert.equal(messages(schema('public'), {}), ['schema public is missing']);
  assert.equal(messages({}, schema('"not public"')), ['schema "not public" is not in the backup']);
  assert.equal(messages({}, schema('publicity')), ['schema publicity is not in the backup']);
});

test('between major versions, expressions may be printed in another way; nothing may be missing', () => {
  const view = { 'query of': { 'view v': 'a' }, 'privileges of': { 'view v': 'a' }, column: { 'v.a': 'a' } };
  const strict = (actual: Definitions) =>
    compareDefinitions(view, actual)
      .filter(difference => !dependsOnVersion(difference))
      .map(({ kind }) => kind);
  assert.equal(strict({ 'query of': { 'view v': 'b' }, 'privileges of': {}, column: { 'v.a': 'b' } }), [
    'column',
  ]);
  assert.equal(strict({ ...view, 'query of': {} }), ['query of']);
});

test.run();
