import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import {
  type Properties,
  propertiesSchema,
  propertyStatements,
} from '../../scripts/lib/postgres/database-properties.ts';

const properties = (changes: Partial<Properties> = {}): Properties => ({
  owner: 'o',
  connectionLimit: -1,
  comment: null,
  settings: [],
  privileges: null,
  ...changes,
});
const isValid = (name: string) =>
  v.is(propertiesSchema, properties({ settings: [{ role: null, name, value: 'x' }] }));
const statementOf = (name: string, value: string) =>
  propertyStatements('d', properties({ settings: [{ role: null, name, value }] })).find(text =>
    / SET /.test(text),
  );

test('the names of settings that a manifest may hold', () => {
  for (const name of ['work_mem', 'TimeZone', 'app.current_user', 'a.b.c', 'my-app.x', 'приложение.режим'])
    assert.ok(isValid(name), name);
  for (const name of ['', '.', 'a.', '.a', 'a..b', 'a b', 'a;b', 'a"b', "a'b", 'a=b', 'a\nb', 'x TO 1; DROP'])
    assert.not.ok(isValid(name), name);
});

test('no text of a manifest becomes SQL', () => {
  assert.is(statementOf('app.current_user', "a'b"), `ALTER DATABASE "d" SET "app"."current_user" TO 'a''b'`);
  assert.is(
    statementOf('search_path', '"$user", "a, ""b", public'),
    `ALTER DATABASE "d" SET "search_path" TO '$user', 'a, "b', 'public'`,
  );
  for (const empty of ['', '""'])
    assert.is(statementOf('search_path', empty), `ALTER DATABASE "d" SET "search_path" TO ''`);
  assert.is(
    statementOf('search_path', "public'; DROP TABLE t; --"),
    `ALTER DATABASE "d" SET "search_path" TO 'public''; DROP TABLE t; --'`,
  );
  assert.not.ok(v.is(propertiesSchema, properties({ comment: 'a\0b' })));
});

test('a privilege is granted after the one that lets its grantor grant it', () => {
  const grant = (role: string, grantor: string | null, grantable = true) =>
    ({ role, privilege: 'CONNECT', grantable, grantor }) as const;
  const statements = propertyStatements(
    'd',
    properties({ privileges: [grant('c', 'b'), grant('b', 'a'), grant('a', null), grant('z', 'y')] }),
  );
  assert.equal(
    statements.flatMap(text => / TO ("[a-z]") WITH/.exec(text)?.[1] ?? []),
    ['"a"', '"b"', '"c"', '"z"'],
  );
});

test.run();
