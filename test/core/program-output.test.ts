import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failureIn, sqlStateIn, warningsIn } from '../../scripts/lib/core/program-output.ts';

const lines = (...text: string[]) => text.join('\n');

test('an error comes with its fields, without what is for the developers of PostgreSQL', () => {
  const output = lines(
    'NOTICE:  00000: table "t" does not exist, skipping',
    'LOCATION:  DropErrorMsgNonExistent, tablecmds.c:1304',
    'psql:<stdin>:7: ERROR:  23505: duplicate key value violates unique constraint "t_pkey"',
    'DETAIL:  Key (i)=(1) already exists.',
    'CONTEXT:  COPY t, line 2',
    'SCHEMA NAME:  public',
    'LOCATION:  _bt_check_unique, nbtinsert.c:664',
    'exit statuses of gzip | psql: 0 3',
  );
  assert.equal(failureIn(output), {
    summary: 'psql:<stdin>:7: ERROR:  23505: duplicate key value violates unique constraint "t_pkey"',
    details: ['DETAIL:  Key (i)=(1) already exists.', 'CONTEXT:  COPY t, line 2'],
  });
  assert.is(sqlStateIn(output), '23505');
});

test('where pg_dump names only a function of libpq, the server’s message is put to it', () => {
  const server = 'Error message from server: ERROR:  invalid page in block 3 of relation base/5/16384';
  const expected =
    'pg_dump: error: Dumping the contents of table "t" failed: PQgetResult() failed: ' +
    'ERROR:  invalid page in block 3 of relation base/5/16384';
  for (const prefix of ['pg_dump: detail: ', 'pg_dump: error: ']) {
    const { summary, details } = failureIn(
      lines(
        'pg_dump: error: Dumping the contents of table "t" failed: PQgetResult() failed.',
        `${prefix}${server}`,
        `${prefix}Command was: COPY public.t (i) TO stdout;`,
      ),
    );
    assert.is(summary, expected);
    assert.equal(details, [`${prefix}Command was: COPY public.t (i) TO stdout;`]);
  }
});

test('without an error the last line counts, and warnings never do', () => {
  assert.is(failureIn('Pulling\nno such image\n').summary, 'no such image');
  assert.is(failureIn('failed\nwarning: this error: is none\n').summary, 'failed');
  assert.is(failureIn('it broke\npg_dump: warning: error: none\npg_dump: hint: no\n').summary, 'it broke');
  assert.equal(failureIn('WARNING:  error: none\n'), { details: [] });
  assert.equal(failureIn(''), { details: [] });
});

test('long fields and messages are shortened, and the later fields stay', () => {
  const long = Array.from({ length: 50 }, (_, i) => `  line ${i}`);
  const { details } = failureIn(
    lines('ERROR:  it broke', 'QUERY:  SELECT', ...long, 'HINT:  mend it', `CONTEXT:  ${'x'.repeat(5000)}`),
  );
  assert.equal(details.slice(0, 5), ['QUERY:  SELECT', '  line 0', '  line 1', '…', 'HINT:  mend it']);
  assert.is(details[5]!.length, 300);
  const many = failureIn(lines('ERROR: it broke', ...Array.from({ length: 40 }, (_, i) => `HINT:  ${i}`)));
  assert.is(many.details.length, 10);
  assert.is(many.details.at(-1), '…');
});

test('warnings are found in the output of programs that end well', () => {
  const output = lines(
    'pg_dump: warning: subscriptions not dumped because current user is not a superuser',
    'pg_dump: warning: there are circular foreign-key constraints on this table:',
    'pg_dump: detail: node',
    'pg_dump: hint: Consider using --disable-triggers.',
    'WARNING:  01000: database "app" has a collation version mismatch',
    'DETAIL:  The database was created using collation version 2.31, but the operating system provides version 2.36.',
    'HINT:  Rebuild all objects in this database.',
    'LOCATION:  CheckMyDatabase, postinit.c:467',
    'psql:<stdin>:9: NOTICE:  42622: identifier "abc" will be truncated to "ab"',
    'NOTICE:  00000: extension "plpgsql" already exists, skipping',
    'exit statuses of pg_dump | gzip: 0 0',
  );
  assert.equal(warningsIn(output), [
    'pg_dump: subscriptions not dumped because current user is not a superuser',
    lines(
      'pg_dump: there are circular foreign-key constraints on this table:',
      'pg_dump: detail: node',
      'pg_dump: hint: Consider using --disable-triggers.',
    ),
    lines(
      'database "app" has a collation version mismatch',
      'DETAIL:  The database was created using collation version 2.31, but the operating system provides version 2.36.',
      'HINT:  Rebuild all objects in this database.',
    ),
    'identifier "abc" will be truncated to "ab"',
  ]);
  assert.equal(warningsIn('Container app-backend-1 Started\n5 rows\n'), []);
});

test.run();
