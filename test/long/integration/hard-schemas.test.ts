/**
 * Hard schemas, in both formats, through S3, on the same server and on a bare one: pg_dump says the same of both sides, in all
 * sections. As a user who is no superuser: hard-schemas-owner.test.ts. With other versions: hard-schemas-versions.test.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { captured } from '../../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import {
  comesBack,
  createRoles,
  dropAll,
  runScript,
  SCHEMAS,
  statementsOf,
} from '../../support/postgres/schemas.ts';

const servers = await createTurns();
const bareServers = await createTurns();

for (const schema of SCHEMAS) {
  test(`${schema}: pg_dump says the same of both sides`, () =>
    servers.inTurn(here =>
      bareServers.inTurn(async bare => {
        await createRoles(here);
        for (const part of ['owner', 'superuser'] as const) await runScript(here, statementsOf(schema, part));
        try {
          await comesBack({ here, bare }, ['plain', 'custom']);
        } finally {
          for (const world of [here, bare]) await dropAll(world);
        }
      }),
    ));
}

/* Whatever pg_dump leaves out is no reason to refuse what it holds. */
test('what no dump holds is not missed: rows are all there, and what an operator can do is said', () =>
  servers.inTurn(async world => {
    await world.sql(`CREATE TABLE t AS SELECT 1 AS i;
      CREATE MATERIALIZED VIEW parent AS SELECT i FROM t; CREATE VIEW between AS SELECT i FROM parent;
      CREATE MATERIALIZED VIEW child AS SELECT i FROM between; REFRESH MATERIALIZED VIEW parent WITH NO DATA;
      CREATE VIEW seen AS SELECT i FROM t; COMMENT ON RULE "_RETURN" ON seen IS 'a comment';
      CREATE EXTENSION hstore; COMMENT ON EXTENSION hstore IS NULL; COMMENT ON FUNCTION hstore_in(cstring) IS 'changed';
      CREATE TABLE key (i int PRIMARY KEY REFERENCES key); ALTER TABLE key DISABLE TRIGGER ALL;
      CREATE TABLE top (x int); CREATE TABLE below () INHERITS (top); ALTER TABLE below ADD z int; ALTER TABLE top ADD y int;
      INSERT INTO below VALUES (1, 2, 3)`);
    const { id, warnings } = await makeBackup(world, { upload: false });
    assert.match(
      warnings.join(),
      /^materialized view public\.child has rows, but one that it reads has none/,
    );
    const { error, stderr } = await captured(() => restoreHere(world, id));
    assert.is(error, '', stderr);
    assert.equal(await world.rows('SELECT x, y, z FROM below'), [{ x: 1, y: 3, z: 2 }]);
    assert.not.match(stderr, /not all is as in the backup/);
  }));

test('definitions that come back in no way can be accepted; rows and tables can’t', () =>
  servers.inTurn(async world => {
    // A check that PostgreSQL leaves with a child although its parent's is gone: it is in no dump.
    await world.sql(`CREATE TABLE top (a int CHECK (a > 0)); CREATE TABLE below () INHERITS (top);
      ALTER TABLE ONLY top DROP COLUMN a; INSERT INTO below VALUES (1)`);
    const { id } = await makeBackup(world, { upload: false });
    await refused(
      () => restoreHere(world, id),
      3,
      /the rows are those of the backup, but not all definitions \(1 difference\):\n {2}constraint top_a_check on public\.below is missing/,
      /the live database is unchanged\. `\.\/scripts\/restore\.ts \S+ --accept-errors` restores with these differences/,
    );
    const { stderr } = await captured(() => restoreHere(world, id, { 'accept-errors': true }));
    assert.match(stderr, /not all is as in the backup \(1 difference\):\n {2}constraint top_a_check/);
    assert.equal(await world.rows('SELECT a FROM below'), [{ a: 1 }]);
  }));

test('the servers stop', async () => {
  await Promise.all([servers.stop(), bareServers.stop()]);
});

test.run();
