/** Statements of a backup that fail when it is loaded: without some of them all rows are there. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkSource } from '../../scripts/lib/backup/verify.ts';
import { readSpaceFacts, type SpaceFacts } from '../../scripts/lib/postgres/load-space.ts';
import { serverFacts } from '../../scripts/lib/postgres/server.ts';
import { compareWithManifest } from '../../scripts/lib/restore/compare.ts';
import { loadInto } from '../../scripts/lib/restore/load-dump.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { databases, program } from '../support/postgres/compare.ts';
import { fetchedDump, LOOKALIKES, writeDump } from '../support/restore/plain-dumps.ts';

const { inTurn, stop } = await createTurns();

/** pg_dump sets an empty search_path, with which the body of this function does not find `plain`. */
const UNQUALIFIED = `
  CREATE TABLE shops (id int PRIMARY KEY, name text);
  INSERT INTO shops VALUES (1, 'Café'), (2, 'Über');
  CREATE FUNCTION plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT translate($1, 'éÜ', 'eU') $$;
  CREATE FUNCTION slugify(v text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(plain(v)) $$;
  CREATE INDEX shops_slug ON shops (slugify(name));
  CREATE MATERIALIZED VIEW slugs AS SELECT slugify(name) AS slug FROM shops;
  CREATE STATISTICS shops_statistics ON (slugify(name)), id FROM shops;
  COMMENT ON TABLE shops IS 'all';
`;

const names = (world: World, database: string) =>
  world.rows(
    "SELECT id, name, obj_description('shops'::regclass) AS comment FROM shops ORDER BY id",
    database,
  );

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

let space: SpaceFacts | undefined;

/** Loads a plain dump into database `scratch`. */
async function load(world: World, path: string, acceptErrors: boolean) {
  const config = configOf(world, {});
  await world.sql('DROP DATABASE IF EXISTS scratch', 'postgres');
  const source = await checkSource(config.postgres, fetchedDump(world, path));
  space ??= await readSpaceFacts(config.postgres, await serverFacts(config.postgres));
  const accept = acceptErrors ? 'all' : 'none';
  return (await loadInto(config, source, 'scratch', space, { accept })).errors;
}

const PRECIOUS = 'CREATE TABLE precious (i int);\n';
const INDEX = 'CREATE INDEX broken ON precious (nothing(i));\n';

/** All kinds: test/long/integration/load-errors.test.ts. */
test('a statement that rows depend on is never accepted, and rows are never taken for statements', () =>
  inTurn(async world => {
    for (const [what, statements, says] of [
      ['a table', `CREATE TABLE t (i nothing);\nCOPY t FROM stdin;\n1\n\\.\n`, /CREATE TABLE t/],
      ['rows', 'CREATE TABLE t (i int);\nCOPY t FROM stdin;\none\n\\.\n', /COPY t/],
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

test('an owner that this server does not have, and a setting of a later version', () =>
  inTurn(async world => {
    await world.sql(
      `${UNQUALIFIED}; CREATE ROLE gone; ALTER TABLE shops OWNER TO gone; DROP INDEX shops_slug; DROP MATERIALIZED VIEW slugs`,
    );
    const path = join(world.directory, 'later.sql.gz');
    const later = "sed 's/^SET lock_timeout = 0;/&\\nSET transaction_timeout = 0;/'";
    const dump = (...options: string[]) =>
      program(
        world,
        'bash',
        '-o',
        'pipefail',
        '-c',
        `pg_dump app "$@" | ${later} | gzip > "$0"`,
        path,
        ...options,
      );
    await dump('--no-owner');
    assert.equal(await load(world, path, false), []);
    assert.equal(await names(world, 'scratch'), await names(world, 'app'));
    await dump();
    await world.sql('REASSIGN OWNED BY gone TO postgres; DROP OWNED BY gone; DROP ROLE gone');
    const why =
      /1 statement of later.sql.gz failed:\n {2}- ALTER TABLE public.shops OWNER TO gone; \(line \d+\)\n/;
    await refused(() => load(world, path, false), 1, why, /role "gone" does not exist/, /--accept-errors/);
  }));

test('the servers stop', stop);

test.run();
