import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  canBeAccepted,
  describeError,
  isUnknownSetting,
  pgRestoreErrors,
  psqlErrors,
  wentOn,
} from '../../scripts/lib/restore/load-errors.ts';

const PSQL = `psql:<stdin>:7: WARNING:  01000: a warning
LOCATION:  f, g.c:1
psql:<stdin>:104: ERROR:  42883: function unaccent(text) does not exist
LINE 1:  select lower(unaccent(v))
                      ^
HINT:  No function matches.
CONTEXT:  SQL function "slugify" during inlining
LOCATION:  ParseFuncOrColumn, parse_func.c:629
psql:<stdin>:104: STATEMENT:  -- a comment
CREATE INDEX i ON public.shops USING btree (public.slugify(name));
psql:<stdin>:200: ERROR:  22P02: invalid input syntax
CONTEXT:  COPY t, line 3
LOCATION:  f, g.c:2
psql:<stdin>:200: STATEMENT:  COPY t FROM stdin;
`;

test('the errors of psql, with their lines and statements; its warnings are none', () => {
  const [index, copy, ...more] = psqlErrors(PSQL);
  assert.equal(more, []);
  assert.equal([index!.line, copy!.line], [104, 200]);
  assert.match(index!.statement, /^CREATE INDEX i ON/);
  assert.match(index!.text, /^ERROR: {2}42883: function.*HINT: .*CONTEXT: .*inlining$/s);
  assert.equal(
    [index, copy].map(error => canBeAccepted(error!)),
    [true, false],
  );
  assert.match(describeError(index!), /^CREATE INDEX i .*\(line 104\)\n {6}ERROR: .*\n {6}HINT:/s);
});

const PG_RESTORE = `pg_restore: error: could not execute query: ERROR:  function unaccent(text) does not exist
HINT:  No function matches.
Command was: CREATE INDEX i ON public.shops (public.slugify(name));


pg_restore: error: COPY failed for table "t": ERROR:  invalid input syntax
CONTEXT:  COPY t, line 3
pg_restore: warning: errors ignored on restore: 2
`;

test('the errors of pg_restore', () => {
  const errors = pgRestoreErrors(PG_RESTORE);
  assert.is(wentOn(PG_RESTORE), true);
  assert.equal(
    errors.map(({ statement }) => statement),
    ['CREATE INDEX i ON public.shops (public.slugify(name));', 'COPY "t"'],
  );
  assert.match(errors[0]!.text, /^ERROR: {2}function.*\nHINT: .*\.$/s);
  const lost = 'pg_restore: error: a worker process died unexpectedly\n';
  assert.is(wentOn(lost), false);
  assert.equal(pgRestoreErrors(lost).map(canBeAccepted), [false]);
});

const fails = (statement: string, text = 'ERROR:  42704: role "gone" does not exist') => ({
  statement,
  text,
});

test('which statements may fail: only known ones, and not for lack of a resource', () => {
  for (const statement of [
    'ALTER TABLE public.t OWNER TO gone;',
    'ALTER TABLE ONLY public.t\n    ADD CONSTRAINT t_pkey PRIMARY KEY (id);',
    'COMMENT ON EXTENSION pg_cron IS NULL;',
    'CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA public;',
    'CREATE MATERIALIZED VIEW is not here',
    'CREATE UNIQUE INDEX i ON t (a);',
    'GRANT SELECT ON TABLE public.t TO gone;',
    'REFRESH MATERIALIZED VIEW public.m;',
  ])
    assert.is(canBeAccepted(fails(statement)), !statement.includes('is not here'), statement);
  for (const statement of [
    'CREATE TABLE t (i int);',
    'COPY t FROM stdin;',
    'INSERT INTO t VALUES (1);',
    "SELECT pg_catalog.setval('s', 1);",
    "SELECT pg_catalog.lo_create('1');",
    'ALTER TABLE t ENABLE ROW LEVEL SECURITY;',
    'ALTER TABLE t ADD COLUMN owner text;',
    'CREATE SEQUENCE s;',
    'CREATE TYPE t AS ();',
    '',
  ])
    assert.is(canBeAccepted(fails(statement)), false, statement);
  for (const text of [
    'ERROR:  53100: could not extend file',
    'ERROR:  could not extend file "base/1": No space left on device',
    'ERROR:  53200: out of memory',
    'FATAL:  57P01: terminating connection due to administrator command',
    'ERROR:  57014: canceling statement due to user request',
  ])
    assert.is(canBeAccepted(fails('CREATE INDEX i ON t (a);', text)), false, text);
});

test('a setting that the server does not have', () => {
  const unknown = 'ERROR:  42704: unrecognized configuration parameter "transaction_timeout"';
  assert.ok(isUnknownSetting(fails('SET transaction_timeout = 0;', unknown)));
  assert.ok(isUnknownSetting(fails('SET a = 0;', unknown.replace('42704: ', ''))), 'of pg_restore');
  assert.not.ok(isUnknownSetting(fails("SET client_encoding = 'X';", 'ERROR:  22023: invalid value')));
  assert.not.ok(isUnknownSetting(fails('CREATE TABLE t ();', unknown)));
});

test.run();
