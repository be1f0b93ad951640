import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareWithManifest } from '../../scripts/lib/restore/compare.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { databases } from '../support/postgres/compare.ts';
import { INDEX, load, names, PRECIOUS, UNQUALIFIED } from '../support/restore/failing-dumps.ts';
import { writeDump } from '../support/restore/plain-dumps.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/** In both formats: test/long/integration/load-errors.test.ts. */
test('an index and a materialized view that fail are listed with all that is said, and can be accepted; rows that lack never', () =>
  inTurn(async world => {
    await world.sql(UNQUALIFIED);
    const manifest = await makeBackup(world, { format: 'custom', upload: false });
    const { id, tables } = manifest;
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
    const lacks = { ...manifest, tables: tables.map(table => ({ ...table, rows: 3 })) };
    const compare = () => compareWithManifest(world.pg.postgres, lacks, 'other', { accepts: () => true });
    await refused(compare, 3, /public.shops has 2 rows, not 3/);
  }));

/** All kinds, texts that look like rows, and an owner that is missing: test/long/integration/load-errors.test.ts. */
test('a statement that rows depend on is never accepted, and rows are never taken for statements', () =>
  inTurn(async world => {
    for (const [what, statements, says] of [
      ['rows of no table, psql', 'COPY t FROM stdin;\n\\! touch trace\n\\.\n', /COPY t/],
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

test('the servers stop', stop);

test.run();
