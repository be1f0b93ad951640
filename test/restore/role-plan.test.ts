import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Needs } from '../../scripts/lib/postgres/needs.ts';
import { type Attribute, createRole, type Globals, readGlobals } from '../../scripts/lib/restore/globals.ts';
import { planRoles, roleDifferences, type Server } from '../../scripts/lib/restore/role-plan.ts';

const GLOBALS = `--
-- PostgreSQL database cluster dump
--
SET default_transaction_read_only = off;
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS;
CREATE ROLE "a TO b";
ALTER ROLE "a TO b" WITH NOSUPERUSER NOINHERIT NOCREATEROLE CREATEDB LOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT -1 VALID UNTIL '2030-01-01 00:00:00+00';
COMMENT ON ROLE "a TO b" IS 'it''s; CREATE ROLE evil;';
CREATE ROLE copier;
ALTER ROLE copier WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN REPLICATION NOBYPASSRLS PASSWORD 'SCRAM-SHA-256$x';
ALTER ROLE copier SET app.motto TO E'two\\nlines; with \\'quotes\\'';
ALTER ROLE copier RESET ALL;
DROP DATABASE app;
COPY t FROM PROGRAM 'evil';
GRANT copier TO "a TO b" WITH ADMIN OPTION, INHERIT FALSE GRANTED BY "else where";
GRANT pg_monitor TO copier GRANTED BY postgres;
GRANT copier TO "a TO b"; DROP ROLE postgres;
GRANT SET ON PARAMETER app.x TO copier WITH GRANT OPTION;
GRANT ALL ON DATABASE app TO copier;
CREATE TABLESPACE "fast disk" OWNER postgres LOCATION '/fast';
`;

const globals: Globals = await readGlobals(
  (async function* () {
    yield Buffer.from(GLOBALS).toString('latin1');
  })(),
);

test('only known statements of the globals are read', () => {
  assert.equal([...globals.roles.keys()], ['postgres', 'a TO b', 'copier']);
  assert.is(
    createRole(globals.roles.get('a TO b')!),
    `CREATE ROLE "a TO b" WITH CREATEDB LOGIN NOINHERIT CONNECTION LIMIT -1 VALID UNTIL '2030-01-01 00:00:00+00';`,
  );
  assert.is(createRole(globals.roles.get('copier')!), 'CREATE ROLE "copier" WITH REPLICATION;');
  assert.equal(globals.roles.get('a TO b')!.others, [
    `COMMENT ON ROLE "a TO b" IS 'it''s; CREATE ROLE evil;';`,
  ]);
  assert.equal(globals.roles.get('copier')!.others, [
    `ALTER ROLE "copier" SET app.motto TO E'two\\nlines; with \\'quotes\\'';`,
    'GRANT SET ON PARAMETER app.x TO "copier" WITH GRANT OPTION;',
  ]);
  assert.equal(
    globals.memberships.map(({ statement }) => statement),
    [
      'GRANT "copier" TO "a TO b" WITH ADMIN OPTION, INHERIT FALSE;',
      'GRANT "pg_monitor" TO "copier";',
      'GRANT "copier" TO "a TO b";',
    ],
  );
  assert.equal([...globals.tablespaces.keys()], ['fast disk']);
});

const role = (name: string, attributes: Attribute[] = ['INHERIT'], usable = false) => ({
  name,
  attributes,
  usable,
});
function server(changes: Partial<Server>, ...roles: ReturnType<typeof role>[]): Server {
  const all = [
    role('postgres', ['SUPERUSER']),
    role('me', ['INHERIT', 'CREATEDB', 'CREATEROLE'], true),
    ...roles,
  ];
  return {
    major: 15,
    user: 'me',
    superuser: false,
    ...changes,
    roles: new Map(all.map(each => [each.name, each])),
  };
}
const need = (name: string, uses: Needs['roles'][number]['uses'], cannotCreateIn: string[] = []) => ({
  name,
  uses,
  cannotCreateIn,
});
const texts = (...args: Parameters<typeof planRoles>) => planRoles(...args).problems.map(({ text }) => text);

test('a superuser lacks only roles that the globals do not have', () => {
  const superuser = server({ superuser: true, user: 'postgres' });
  const needs = [need('copier', ['owner', 'grantor'], ['s']), need('gone', ['privilege'])];
  const plan = planRoles(superuser, needs, globals);
  assert.equal(
    plan.create.map(({ name }) => name),
    ['a TO b', 'copier'],
  );
  assert.equal(plan.join, []);
  assert.equal(plan.problems, [{ text: 'role "gone" is missing', statements: ['CREATE ROLE "gone";'] }]);
});

test('what others than superusers may create, before 16 and since', () => {
  const created = (major: number, ...attributes: Attribute[]) =>
    planRoles(
      { ...server({ major }), roles: new Map([['me', role('me', attributes, true)]]) },
      [],
      globals,
    ).create.map(({ name }) => name);
  assert.equal(created(15), []);
  assert.equal(created(15, 'CREATEROLE'), ['a TO b']);
  assert.equal(created(16, 'CREATEROLE'), []);
  assert.equal(created(16, 'CREATEROLE', 'CREATEDB', 'REPLICATION'), ['a TO b', 'copier']);
});

test('what others than superusers may not do with owners', () => {
  const member = role('member', ['INHERIT'], true);
  const stranger = role('stranger');
  assert.equal(texts(server({}, member), [need('member', ['owner', 'defaults'])], globals), []);
  assert.equal(texts(server({}, stranger), [need('stranger', ['privilege', 'policy'])], globals), []);
  assert.equal(planRoles(server({}), [need('a TO b', ['owner'])], globals).join, ['a TO b']);
  const plan = planRoles(server({}, stranger), [need('stranger', ['defaults'])], globals);
  assert.equal(plan.problems[0]?.statements, ['GRANT "stranger" TO "me";']);
  const missing = planRoles(server({}), [need('copier', ['owner'])], globals);
  assert.equal(missing.problems[0]?.statements, [
    'CREATE ROLE "copier" WITH REPLICATION;',
    'GRANT "copier" TO "a TO b" WITH ADMIN OPTION, INHERIT FALSE;',
    'GRANT "pg_monitor" TO "copier";',
    'GRANT "copier" TO "a TO b";',
    'GRANT "copier" TO "me";',
  ]);
  assert.match(texts(server({}), [need('postgres', ['owner'])], globals)[0]!, /to the superuser "postgres"/);
  assert.match(
    texts(server({}, member), [need('member', ['grantor'])], globals)[0]!,
    /in the name of "member"/,
  );
  assert.match(
    texts(server({}, member), [need('member', ['owner'], ['s t'])], globals)[0]!,
    /in schema "s t"/,
  );
  assert.equal(texts(server({}), [need('me', ['owner', 'grantor'], ['s'])], globals), []);
});

test('roles that are here with other attributes or memberships are named, with what would change them', () => {
  const here = server({}, role('a TO b', ['INHERIT', 'LOGIN', 'CREATEROLE']), role('copier'));
  assert.equal(roleDifferences(here, globals, new Set()), [
    'ALTER ROLE "a TO b" WITH CREATEDB NOINHERIT NOCREATEROLE;',
    'ALTER ROLE "copier" WITH REPLICATION;',
    'GRANT "copier" TO "a TO b" WITH ADMIN OPTION, INHERIT FALSE;',
    'GRANT "copier" TO "a TO b";',
  ]);
  assert.equal(roleDifferences(server({}), globals, new Set()), []);
});

test.run();
