/** Statements of a backup that fail when it is loaded: without some of them all rows are there. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { databases, program } from '../../support/postgres/compare.ts';
import { INDEX, load, names, ownerGone, PRECIOUS, UNQUALIFIED } from '../../support/restore/failing-dumps.ts';
import { forge, LOOKALIKES, writeDump } from '../../support/restore/plain-dumps.ts';

const { inTurn, stop } = await createTurns();

for (const format of ['plain', 'custom'] as const) {
  test(`${format}: an index and a materialized view that fail are listed with all that is said, and can be accepted`, () =>
    inTurn(async world => {
      await world.sql(UNQUALIFIED);
      const { id } = await makeBackup(world, { format, upload: false });
      const restore = (flags = {}) => restoreHere(world, id, { database: 'other', ...flags });
      const why = /the rows are loaded, but 2 statements of \w+ failed:/;
      const index =
        /- CREATE INDEX shops_slug ON .*ERROR: .*plain\(text\) does not exist\n.*HINT: .*CONTEXT: .*slugify/s;
      const view = /- REFRESH MATERIALIZED VIEW public.slugs/;
      await refused(restore, 1, why, index, view, /live database is unchanged.*--accept-errors/);
      assert.equal(await databases(world), ['app']);
      const { acceptedErrors } = await restore({ 'accept-errors': true });
      assert.match(acceptedErrors!.map(({ statement }) => statement).join(), /^CREATE INDEX.*,REFRESH MAT/);
      assert.equal(await names(world, 'other'), await names(world, 'app'));
    }));
}

test('a statement that rows depend on is never accepted, and rows are never taken for statements', () =>
  inTurn(async world => {
    for (const [what, statements, says] of [
      ['a table', `CREATE TABLE t (i nothing);\nCOPY t FROM stdin;\n1\n\\.\n`, /CREATE TABLE t/],
      ['rows', 'CREATE TABLE t (i int);\nCOPY t FROM stdin;\none\n\\.\n', /COPY t/],
      ['rows of no table', 'COPY t FROM stdin;\nDROP TABLE precious;\n\\.\n', /COPY t/],
      ['rows of no table, psql', 'COPY t FROM stdin;\n\\! touch trace\n\\.\n', /COPY t/],
      ['rows as INSERT', "CREATE TABLE t (i int);\nINSERT INTO t VALUES ('one');\n", /INSERT INTO t/],
      ['a sequence', "SELECT pg_catalog.setval('nothing', 1);\n", /setval/],
      ['a large object', "SELECT pg_catalog.lo_open('17', 131072);\n", /lo_open/],
      ['something unknown', 'CHECK nothing;\n', /CHECK nothing/],
    ] as const) {
      // Behind an error that can be accepted, so that loading goes on.
      const path = writeDump(world, 'foreign.sql.gz', PRECIOUS + INDEX + statements);
      // The second load, behind the first error, is the same without the flag.
      await refused(() => load(world, path, true), 1, says, /live database is unchanged/).catch(error => {
        error.message = `${what}: ${error.message}`;
        throw error;
      });
      assert.equal(await world.rows('SELECT FROM precious', 'scratch'), [], what);
    }
    const path = writeDump(world, 'foreign.sql.gz', `${PRECIOUS}${INDEX}CHECK nothing;\n`);
    await refused(() => load(world, path, false), 1, /CHECK nothing/);
    // psql ends at an error between rows, whatever it is.
    const comment =
      "COPY precious FROM stdin;\n\\.\nCOMMENT ON TABLE nothing IS '';\nCOPY precious FROM stdin;\n1\n\\.\n";
    writeDump(world, 'foreign.sql.gz', PRECIOUS + comment);
    await refused(() => load(world, path, true), 1, /could not load foreign.sql.gz/);
  }));

test('rows that lack are exit 3, whatever is accepted', () =>
  inTurn(async world => {
    await world.sql(UNQUALIFIED);
    const backup = await makeBackup(world, { upload: false });
    forge(world, backup, sql => sql.replace('2\tÜber\n', ''));
    const flags = { database: 'other', 'accept-errors': true };
    await refused(() => restoreHere(world, backup.id, flags), 3, /public.shops has 1 rows, not 2/);
    assert.equal(await databases(world), ['app']);
  }));

test('an owner that this server does not have, and a setting of a later version', () =>
  inTurn(async world => {
    const path = await ownerGone(world, true);
    assert.is((await load(world, path, true)).length, 1);
    assert.equal(await names(world, 'scratch'), await names(world, 'app'));
  }));

test('text that looks like rows or commands stays whole when errors are collected, or is refused', () =>
  inTurn(async world => {
    await world.sql(`${LOOKALIKES}; ${UNQUALIFIED}`);
    const path = join(world.directory, 'notes.sql.gz');
    const dump = (...options: string[]) =>
      program(world, 'bash', '-o', 'pipefail', '-c', 'pg_dump app "$@" | gzip > "$0"', path, ...options);
    await dump();
    assert.is((await load(world, path, true)).length, 2);
    const texts = (database?: string) =>
      world.rows(
        "SELECT id, text, obj_description('notes'::regclass) AS comment, prosrc FROM notes, pg_proc WHERE proname = 'f' ORDER BY id",
        database,
      );
    assert.equal(await texts('scratch'), await texts());
    await world.sql("DROP TABLE shops CASCADE; CREATE MATERIALIZED VIEW slugs AS SELECT slugify('Ü')");
    await dump('--inserts');
    await refused(() => load(world, path, true), 1, /some of its text looks like rows/);
  }));

test('the servers stop', stop);

test.run();
