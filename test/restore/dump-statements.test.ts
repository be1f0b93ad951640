import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isLeftOut, needOf } from '../../scripts/lib/restore/dump-statements.ts';

test('what is left out with owners and privileges, and with tablespaces', () => {
  const owners = [
    'ALTER TABLE public."t OWNER TO x" OWNER TO "a b";',
    'ALTER FUNCTION public.f(a text, b "OWNER") OWNER TO writer;',
    'ALTER LARGE OBJECT 4712 OWNER TO writer;',
    'GRANT ALL ON SCHEMA public TO "TO";',
    'REVOKE USAGE ON SCHEMA public FROM PUBLIC;',
    'ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA public GRANT SELECT ON TABLES TO y;',
    'SET SESSION AUTHORIZATION "x";',
    'RESET SESSION AUTHORIZATION;',
  ];
  for (const statement of owners) {
    assert.ok(isLeftOut(statement, { owners: true }), statement);
    assert.not.ok(isLeftOut(statement, { tablespaces: true }), statement);
  }
  for (const statement of ['SET default_tablespace = fast;', `SET default_tablespace = '';`]) {
    assert.ok(isLeftOut(statement, { tablespaces: true }), statement);
    assert.not.ok(isLeftOut(statement, { owners: true }), statement);
  }
  const kept = [
    'SET default_table_access_method = heap;',
    `ALTER TABLE ONLY t ADD CONSTRAINT c CHECK (x = 'OWNER TO writer;');`,
    'ALTER TABLE t RENAME COLUMN "OWNER" TO "TO";',
    'ALTER SEQUENCE s OWNED BY t.id;',
    'ALTER TABLE t ENABLE ROW LEVEL SECURITY;',
    'CREATE POLICY p ON t TO writer USING (true);',
    `SELECT pg_catalog.set_config('search_path', '', false);`,
    'CREATE TABLE "GRANT" ();',
    'CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ GRANT x TO y; $$;',
  ];
  for (const statement of kept)
    assert.not.ok(isLeftOut(statement, { owners: true, tablespaces: true }), statement);
});

test('what statements need', () => {
  const roles = (statement: string) => needOf(statement)?.roles.map(each => each.join(': '));
  assert.equal(roles('ALTER TABLE t OWNER TO "a ""b""";'), ['a "b": owner']);
  assert.equal(roles('ALTER TABLE t OWNER TO Small;'), ['small: owner']);
  assert.equal(roles('GRANT SELECT ON TABLE "a TO b" TO "TO" WITH GRANT OPTION;'), ['TO: privilege']);
  assert.equal(roles('GRANT SELECT ON TABLE t TO PUBLIC;'), []);
  assert.equal(roles('REVOKE ALL ON TABLE t FROM x;'), ['x: privilege']);
  assert.equal(roles('ALTER DEFAULT PRIVILEGES FOR ROLE "x y" IN SCHEMA s GRANT SELECT ON TABLES TO z;'), [
    'x y: defaults',
    'z: privilege',
  ]);
  assert.equal(roles(`SET SESSION AUTHORIZATION 'x''y';`), ["x'y: grantor"]);
  assert.equal(roles('SET SESSION AUTHORIZATION DEFAULT;'), []);
  assert.equal(
    roles(
      `CREATE POLICY "TO" ON s.t AS RESTRICTIVE FOR ALL TO a, "b ""c""" USING ((x = 'TO d')) WITH CHECK (y);`,
    ),
    ['a: policy', 'b "c": policy'],
  );
  assert.equal(roles('CREATE POLICY p ON t FOR DELETE USING (false);'), []);
  assert.equal(roles(`CREATE USER MAPPING FOR "w r" SERVER s OPTIONS (user 'FOR x');`), ['w r: mapping']);
  assert.equal(roles('CREATE USER MAPPING FOR PUBLIC SERVER s;'), []);
  assert.equal(needOf('SET default_tablespace = "fast disk";')?.tablespaces, ['fast disk']);
  assert.equal(needOf(`SET default_tablespace = '';`)?.tablespaces, []);
  assert.equal(needOf('CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;')?.extensions, [
    'uuid-ossp',
  ]);
  assert.equal(needOf('CREATE EXTENSION hstore;')?.extensions, ['hstore']);
  assert.equal(needOf(`CREATE PUBLICATION "p q" FOR ALL TABLES WITH (publish = 'insert');`), {
    roles: [],
    publications: ['p q'],
    superuser: ['publication p q'],
  });
  assert.equal(
    needOf('CREATE PUBLICATION p WITH (publish_via_partition_root = true);')?.superuser,
    undefined,
  );
  assert.equal(
    needOf(
      'CREATE TABLE t (\n    a text COLLATE pg_catalog."de-x-icu",\n    b text COLLATE pg_catalog."C"\n);',
    )?.collations,
    ['de-x-icu', 'C'],
  );
  assert.is(needOf('CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ GRANT x TO y; $$;'), undefined);
});

test.run();
