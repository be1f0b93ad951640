import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lintMigration } from '../../scripts/lib/migrations/lint.ts';

/** Each statement, and what is found in it. */
const CASES: Record<string, string[]> = {
  'CREATE TABLE t (i int NOT NULL UNIQUE)': [],
  'ALTER TABLE t ADD COLUMN note text': [],
  "ALTER TABLE t ADD COLUMN state text NOT NULL DEFAULT 'new'": [],
  'ALTER TABLE t ADD COLUMN n bigserial NOT NULL': [],
  'ALTER TABLE t ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY': [],
  'ALTER TABLE t ALTER COLUMN c DROP NOT NULL': [],
  'ALTER TABLE t DROP CONSTRAINT c': [],
  'ALTER TABLE t VALIDATE CONSTRAINT c': [],
  'CREATE INDEX CONCURRENTLY i ON t (c)': [],
  'DROP INDEX i': [],
  'UPDATE t SET c = 1': [],
  "INSERT INTO t VALUES ('DROP TABLE t')": [],
  "ALTER TYPE e ADD VALUE 'x'": [],
  '-- DROP TABLE t;\nSELECT 1': [],
  'CREATE TABLE new (i int); CREATE INDEX ON new (i); ALTER TABLE new DROP COLUMN i': [],

  'ALTER TABLE t ADD COLUMN c text NOT NULL': ['contracts: adds a required column without a default'],
  'DROP TABLE t': ['contracts: drops a table'],
  'DROP VIEW v': ['contracts: drops a view'],
  'ALTER TABLE t DROP COLUMN c': ['contracts: drops a column'],
  'ALTER TABLE t RENAME TO u': ['contracts: renames a table'],
  'ALTER TABLE t RENAME COLUMN a TO b': ['contracts: renames a column'],
  'ALTER TABLE t ALTER c SET NOT NULL': [
    'contracts: forbids NULL in a column',
    'blocks: reads the whole table for NULLs',
  ],
  'ALTER TABLE t ALTER c TYPE bigint': [
    'contracts: changes a column’s type',
    'blocks: may rewrite the table',
  ],
  'ALTER TABLE t ALTER c DROP DEFAULT': ['contracts: drops a default'],
  'ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)': [
    'contracts: adds a constraint',
    'blocks: checks every row for a constraint',
  ],
  'ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID': ['contracts: adds a constraint'],
  'CREATE INDEX i ON t (c)': ['blocks: builds an index without CONCURRENTLY'],
  'CREATE UNIQUE INDEX CONCURRENTLY i ON t (c)': ['contracts: adds a unique index'],
  'LOCK TABLE t': ['blocks: locks a table'],
  'DELETE FROM t': ['contracts: deletes rows'],
  'TRUNCATE t': ['contracts: deletes all rows of a table'],
  "DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$": ['contracts: is not known to be safe: Do'],
  'REVOKE SELECT ON t FROM PUBLIC': ['contracts: revokes privileges'],
  "ALTER TYPE e RENAME VALUE 'a' TO 'b'": ['contracts: renames a value of a type'],
  'ALTER TABLE t SET SCHEMA other': ['contracts: is not known to be safe: AlterObjectSchema'],
  'ALTER TABLE t ENABLE ROW LEVEL SECURITY': [
    'contracts: changes a table by enable row security, which is not known to be safe',
  ],
};

for (const [sql, expected] of Object.entries(CASES)) {
  test(sql.replaceAll('\n', ' '), async () => {
    const found = await lintMigration(sql);
    assert.equal(
      found.map(({ kind, what }) => `${kind}: ${what}`.replaceAll("'", '’')),
      expected,
    );
  });
}

test('each statement of a file is checked by itself, and shown without its comments', async () => {
  const found = await lintMigration(`
    -- Ümläute before, so that bytes are not characters
    ALTER TABLE a ADD COLUMN b text;
    ALTER TABLE a
      DROP COLUMN c; -- gone
    DROP TABLE d;
  `);
  assert.equal(
    found.map(({ sql }) => sql),
    ['ALTER TABLE a DROP COLUMN c', 'DROP TABLE d'],
  );
});

test('a file that is not SQL is contracting', async () => {
  const [finding] = await lintMigration('ALTER TABEL t ADD c int');
  assert.is(finding?.kind, 'contracts');
  assert.match(finding!.what, /^can't be read: syntax error/);
});

test.run();
