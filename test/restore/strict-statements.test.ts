import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { entriesLeftOut, sortStatements } from '../../scripts/lib/restore/sort-statements.ts';
import { onlySuperuser, phaseOf } from '../../scripts/lib/restore/strict-statements.ts';

const KNOWN: Record<string, string[]> = {
  before: ['CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA ext;', 'CREATE EXTENSION "uuid-ossp";'],
  owner: [
    'ALTER TABLE public.t OWNER TO postgres;',
    'ALTER TABLE public."t; x OWNER TO y" OWNER TO "two\nlines ""x""";',
    'ALTER MATERIALIZED VIEW public.v OWNER TO "роль";',
    'ALTER FUNCTION public."f (x"(a integer, VARIADIC "b c" text[], OUT public."T y"[]) OWNER TO x;',
    'ALTER AGGREGATE public.a(*) OWNER TO x;',
    'ALTER AGGREGATE public.a(integer ORDER BY integer) OWNER TO x;',
    'ALTER OPERATOR public.=== (integer, public."t") OWNER TO x;',
    'ALTER OPERATOR FAMILY public.f USING btree OWNER TO x;',
    'ALTER LARGE OBJECT 777 OWNER TO x;',
    'ALTER TEXT SEARCH CONFIGURATION public.c OWNER TO x;',
  ],
  privilege: [
    'GRANT ALL ON SCHEMA public TO PUBLIC;',
    'GRANT SELECT("a,b;c\'d",b),UPDATE(c) ON TABLE public.t TO "TO" WITH GRANT OPTION;',
    'REVOKE GRANT OPTION FOR SELECT ON TABLE public.t FROM x CASCADE;',
    'GRANT SELECT ON LARGE OBJECT 777 TO PUBLIC;',
    'REVOKE ALL ON FUNCTION pg_catalog.pg_ls_waldir(OUT name text, OUT size bigint) FROM pg_monitor;',
    'ALTER DEFAULT PRIVILEGES FOR ROLE "Own er" IN SCHEMA public GRANT SELECT ON TABLES  TO x;',
    'ALTER DEFAULT PRIVILEGES FOR ROLE x REVOKE ALL ON FUNCTIONS FROM PUBLIC;',
  ],
  object: [
    "CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert, update', publish_via_partition_root = true);",
    'ALTER PUBLICATION p ADD TABLES IN SCHEMA public;',
    `CREATE SUBSCRIPTION s CONNECTION 'host=x password=''y''' PUBLICATION p, "q r" WITH (connect = false, slot_name = 's');`,
    "COMMENT ON EXTENSION hstore IS 'it''s \\ mine';",
    "COMMENT ON SCHEMA public IS E'a\\\\b';",
  ],
  trigger: [
    `CREATE EVENT TRIGGER "e T" ON ddl_command_end\n         WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')\n   EXECUTE FUNCTION public.et();`,
    'ALTER EVENT TRIGGER e ENABLE ALWAYS;',
    'ALTER EVENT TRIGGER e OWNER TO x;',
  ],
};

/** Each changes one of the forms a little. */
const UNKNOWN = [
  'ALTER TABLE t ALTER i TYPE int USING evil(i), OWNER TO x;',
  'ALTER TABLE t OWNER TO x; DROP DATABASE app;',
  'ALTER TABLE t OWNER TO x\n;',
  'ALTER TABLE t /* " */ OWNER TO x;',
  'ALTER TABLE t -- \n OWNER TO x;',
  'alter table t owner to x;',
  'ALTER DATABASE app OWNER TO x;',
  'ALTER TABLESPACE t OWNER TO x;',
  'ALTER ROLE x SUPERUSER;',
  'ALTER TABLE ONLY t ADD CONSTRAINT c CHECK (evil());',
  `ALTER FUNCTION f(a text DEFAULT 'x') OWNER TO x;`,
  'ALTER OPERATOR public.+-- (integer) OWNER TO x;',
  'ALTER OPERATOR public.+/* (integer) OWNER TO x;',
  'GRANT postgres TO x;',
  'GRANT "SELECT ON TABLE" TO x;',
  'GRANT postgres, x TO y;',
  'GRANT ALL ON DATABASE app TO x;',
  'GRANT CREATE ON TABLESPACE t TO x;',
  'GRANT SET ON PARAMETER p TO x;',
  'GRANT ALL ON ALL TABLES IN SCHEMA pg_catalog TO x;',
  'GRANT SELECT ON t TO x GRANTED BY y;',
  `COMMENT ON EXTENSION x IS 'a' || evil();`,
  `COMMENT ON EXTENSION x IS E'\\'; DROP DATABASE app; --';`,
  `COMMENT ON DATABASE app IS 'x';`,
  `COMMENT ON EXTENSION x IS $$x$$;`,
  `CREATE EXTENSION x WITH SCHEMA s VERSION '1';`,
  'CREATE EXTENSION x CASCADE;',
  'CREATE PUBLICATION p FOR TABLE t WHERE (evil());',
  `CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p;`,
  `CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = true);`,
  `CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = false, enabled = true);`,
  `CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = false, connect = true, enabled = true);`,
  'CREATE EVENT TRIGGER e ON login EXECUTE FUNCTION f();',
  `CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f('x');`,
  'REASSIGN OWNED BY x TO y;',
  'SET SESSION AUTHORIZATION x;',
  'DO $$ BEGIN END $$;',
];

test('statements of pg_dump that a superuser runs, and what only looks like them', () => {
  for (const [phase, statements] of Object.entries(KNOWN))
    for (const statement of statements) {
      const bytes = Buffer.from(statement).toString('latin1');
      assert.is(phaseOf(bytes), phase, statement);
    }
  for (const statement of UNKNOWN) assert.is(phaseOf(statement), undefined, statement);
});

test('a statement of any length is looked at in no time', () => {
  const long = 'x'.repeat(200_000);
  for (const statement of [
    `ALTER TABLE ${'"'.repeat(99_999)} OWNER TO x;`,
    `GRANT ${'SELECT,'.repeat(30_000)} ON TABLE t TO x;`,
    `GRANT SELECT(${'a,'.repeat(90_000)}) ON TABLE t TO x`,
    `COMMENT ON EXTENSION x IS '${"''".repeat(90_000)}`,
    `ALTER FUNCTION f(${'a.'.repeat(90_000)} OWNER TO x;`,
    `ALTER FUNCTION f(${'"a" '.repeat(50_000)} OWNER TO x;`,
    `ALTER OPERATOR ${'+'.repeat(90_000)} (int`,
    `CREATE FUNCTION ${long}(`,
    `CREATE CAST (${' '.repeat(90_000)}`,
  ]) {
    const started = performance.now();
    phaseOf(statement);
    onlySuperuser(statement);
    assert.ok(performance.now() - started < 1000, statement.slice(0, 30));
  }
});

test('what only a superuser could have made is known by forms that nobody else can write', () => {
  for (const [statement, name] of [
    [
      `CREATE FUNCTION public.run(a text DEFAULT 'x'::text) RETURNS integer\n    LANGUAGE c STRICT\n    AS 'lib', 'run';`,
      'function public.run (c)',
    ],
    [
      'CREATE FUNCTION public.f() RETURNS integer\n    LANGUAGE plpython3u\n    AS $$return 1$$;',
      'function public.f (plpython3u)',
    ],
    [
      'CREATE FUNCTION public.f() RETURNS integer\n    LANGUAGE sql LEAKPROOF\n    AS $$x$$;',
      'function public.f (leakproof)',
    ],
    ['CREATE OPERATOR CLASS public.c\n    FOR TYPE int USING btree AS;', 'operator class public.c'],
    ['CREATE EVENT TRIGGER "in" ON login\n   EXECUTE FUNCTION public.f();', 'event trigger "in" ON login'],
    ['CREATE TYPE public.t;', 'type public.t'],
    ['CREATE TYPE public.t (\n    INPUT = f);', 'type public.t'],
    [
      'CREATE CAST (character varying AS integer) WITH INOUT AS IMPLICIT;',
      'cast (character varying AS integer)',
    ],
    ['CREATE OR REPLACE PROCEDURAL LANGUAGE plpython3u;', 'procedural language plpython3u'],
  ] as const)
    assert.is(onlySuperuser(statement), name, statement);
  for (const statement of [
    `CREATE FUNCTION public.f(a text DEFAULT '\n    LANGUAGE c '::text) RETURNS integer\n    LANGUAGE sql\n    AS $$ LEAKPROOF $$;`,
    'CREATE FUNCTION public.f() RETURNS integer\n    LANGUAGE sql\n    AS $$\n    LANGUAGE c LEAKPROOF $$;',
    `CREATE FUNCTION public."\n    LANGUAGE c "() RETURNS integer\n    LANGUAGE plpgsql\n    AS $$x$$;`,
    `CREATE FUNCTION public."LEAKPROOF"() RETURNS public."LEAKPROOF"\n    LANGUAGE plpgsql SET x TO '\n    LANGUAGE c'\n    AS $$x$$;`,
    'CREATE FUNCTION public.leakproof() RETURNS public.leakproof\n    LANGUAGE plpgsql\n    AS $$\n    LANGUAGE c x$$;',
    'CREATE TYPE public."x;" AS (\n    a integer);',
    'CREATE TYPE public."x (" AS ENUM (\n    \'a\');',
    'CREATE TYPE public.r AS RANGE (\n    subtype = integer);',
    'CREATE CAST (public.t AS integer) WITH FUNCTION public.f(public.t);',
  ])
    assert.is(onlySuperuser(statement), undefined, statement);
});

const cut = { start: 0, end: 1, line: 1, lines: 1, segment: 0 };

test('grants of another role are run together, or left to the load', () => {
  const sorted = (statements: string[]) => {
    const all = sortStatements();
    for (const statement of statements) all.add(statement, cut);
    return all.all().phases.privilege;
  };
  const group = [
    'SET SESSION AUTHORIZATION "x";',
    'GRANT SELECT ON TABLE public.t TO y;',
    'RESET SESSION AUTHORIZATION;',
  ];
  assert.equal(sorted(group), group);
  assert.equal(sorted([group[0]!, 'CREATE TABLE t ();', ...group.slice(1)]), [group[1]]);
  assert.equal(sorted([group[0]!, group[1]!, 'SELECT 1;', group[2]!]), [group[1]]);
  assert.equal(sorted([group[0]!, ...group]), group);
});

test('the sequences of tables come after all tables; extensions have their schemas before', () => {
  const all = sortStatements();
  for (const statement of [
    'CREATE SCHEMA "e x";',
    'CREATE SCHEMA other;',
    'CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA "e x";',
    "COMMENT ON EXTENSION hstore IS 'x';",
    'CREATE SEQUENCE public.a_seq\n    START 1;',
    'ALTER TABLE public.a_seq OWNER TO x;',
    'ALTER TABLE public.z OWNER TO x;',
    'CREATE EVENT TRIGGER "two\nlines" ON sql_drop EXECUTE FUNCTION f();',
  ])
    all.add(statement, cut);
  const { phases, schemas, cuts } = all.all();
  assert.equal(
    [phases.owner, phases.sequence],
    [['ALTER TABLE public.z OWNER TO x;'], ['ALTER TABLE public.a_seq OWNER TO x;']],
  );
  assert.equal(schemas, ['"e x"']);
  assert.is(cuts.length, 6);
  assert.equal(entriesLeftOut({ phases, schemas }), [
    'EXTENSION - hstore ',
    'COMMENT - EXTENSION hstore ',
    'EVENT TRIGGER - two lines ',
    'SCHEMA - e x ',
  ]);
});

test.run();
