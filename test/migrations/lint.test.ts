import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lintMigrations } from '../../scripts/lib/migrations/lint.ts';
import type { DatabaseNames } from '../../scripts/lib/migrations/names.ts';
import { contracting } from '../../scripts/lib/migrations/pending.ts';

const NAMES: DatabaseNames = {
  relations: new Set(['t', 'users']),
  types: new Set(['mood']),
  domains: new Set(),
  functions: new Set(['md5']),
  builtIn: new Set(['lower']),
  views: new Set(['v']),
  watched: new Set(['audited']),
};

/** What is judged, more than that, on a server: test/integration/harmless-migrations.test.ts. */
const CASES: Record<string, string[]> = {
  'CREATE TABLE new (i int NOT NULL UNIQUE)': [],
  'ALTER TABLE t ADD COLUMN note text': [],
  'ALTER TABLE t ADD COLUMN id uuid DEFAULT gen_random_uuid()': ['blocks: writes every row of the table'],
  'ALTER TABLE t ADD COLUMN c text UNIQUE': ['blocks: builds an index while the table is locked'],
  'ALTER TABLE t ADD COLUMN c int; UPDATE t SET c = 1': [
    'blocks: keeps rows locked until the migration ends',
  ],
  'CREATE INDEX i ON t (c)': ['blocks: builds an index without CONCURRENTLY'],
  'LOCK TABLE t': ['blocks: locks a table'],
  'VACUUM FULL t': ['blocks: rewrites tables'],
  '-- DROP TABLE t;\nSELECT 1': [],
  'CREATE TABLE new (i int); CREATE INDEX ON new (i); ALTER TABLE new DROP COLUMN i': [],

  'CREATE TABLE users (i int)': [
    'contracts: has the name of something that exists, which it may replace or hide',
  ],
  'CREATE TABLE x.new (i int); ALTER TABLE new DROP COLUMN i': ['contracts: drops a column'],
  'CREATE TABLE IF NOT EXISTS new (i int); ALTER TABLE new DROP COLUMN i': ['contracts: drops a column'],
  'ALTER TABLE t ADD COLUMN c text NOT NULL': ['contracts: adds a required column without a default'],
  'ALTER TABLE audited ADD COLUMN c text': [
    'contracts: adds a column to a table with triggers, rules or functions of its rows, which may not fit',
  ],
  'DROP TABLE t': ['contracts: drops a table'],
  'DROP INDEX i': ['contracts: drops an index, which ON CONFLICT may need'],
  'ALTER TABLE t DROP COLUMN c': ['contracts: drops a column'],
  'ALTER TABLE t RENAME TO u': ['contracts: renames something'],
  'ALTER TABLE t ALTER c SET NOT NULL': [
    'contracts: forbids NULL in a column',
    'blocks: reads the whole table for NULLs',
  ],
  'ALTER TABLE t ALTER c TYPE bigint': [
    'contracts: changes a column’s type',
    'blocks: may rewrite the table',
  ],
  'ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)': [
    'contracts: adds a constraint that the previous release’s rows may not keep',
    'blocks: checks every row for a constraint',
  ],
  'ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID': [
    'contracts: adds a constraint that the previous release’s rows may not keep',
  ],
  'CREATE UNIQUE INDEX CONCURRENTLY i ON t (c)': ['contracts: adds a unique index'],
  'UPDATE t SET c = 1': ['contracts: writes rows that the previous release reads'],
  'WITH gone AS (DELETE FROM t RETURNING *) SELECT 1': [
    'contracts: computes with a function or a view that is not known to change nothing',
  ],
  'SELECT md5(c) FROM t': [
    'contracts: computes with a function or a view that is not known to change nothing',
  ],
  'SELECT pg_catalog.md5(c) FROM t': [],
  'SELECT * FROM v': ['contracts: computes with a function or a view that is not known to change nothing'],
  'TRUNCATE t': ['contracts: deletes all rows of a table'],
  "DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$": [
    'contracts: runs a block of code, whose statements are not judged',
  ],
  "ALTER TYPE mood ADD VALUE 'x'": [
    'contracts: adds a value to a type, which the previous release does not know',
  ],
  'ALTER TABLE t SET WITHOUT OIDS': [
    'contracts: alters a table by drop oids, which is not known to be harmless',
  ],
  'ALTER SYSTEM SET work_mem = 1': ['contracts: is not known to be harmless: alter system'],
  'REASSIGN OWNED BY a TO b': ['contracts: is not known to be harmless: reassign owned'],
};

const lint = async (sql: string) => (await lintMigrations([sql], NAMES))[0]!;

for (const [sql, expected] of Object.entries(CASES)) {
  test(sql.replaceAll('\n', ' '), async () => {
    const found = await lint(sql);
    assert.equal(
      found.map(({ kind, what }) => `${kind}: ${what}`.replaceAll("'", '’')),
      expected,
    );
  });
}

test('each statement of a file is checked by itself, and shown without its comments', async () => {
  const found = await lint(`
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

test('a comment on a line before a statement accepts that it contracts, and says why', async () => {
  const accepted = async (sql: string) =>
    (await lint(sql)).map(({ kind, accepted: why = '-' }) => `${kind}: ${why}`);
  const key = 'ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES users ON DELETE RESTRICT';
  const lintsAs = async (sql: string, ...expected: string[]) =>
    assert.equal(await accepted(sql), expected, sql);
  await lintsAs(`-- rollback-safe: 1.0 deletes no users\n${key}`, 'contracts: 1.0 deletes no users');
  await lintsAs(
    `ALTER TABLE t ADD i int;\n\n-- AddForeignKey ü\n  --Rollback-safe:  so  \n-- more\n${key};DROP TABLE d`,
    'contracts: so',
    'contracts: -',
  );
  await lintsAs('-- rollback-safe: why\u001b[2J\nDROP TABLE d', 'contracts: why [2J');
  await lintsAs(
    '-- rollback-safe: waits, too\nALTER TABLE t ALTER c SET NOT NULL',
    'contracts: waits, too',
    'blocks: -',
  );
  // Without a reason; behind another statement, whose it may be; elsewhere; in a string; in a file that can't be read.
  await lintsAs('-- rollback-safe:\n-- x\nDROP TABLE d', 'contracts: -');
  await lintsAs('SELECT 1; -- rollback-safe: no\nDROP TABLE d', 'contracts: -');
  await lintsAs('DROP TABLE d -- rollback-safe: no\n', 'contracts: -');
  await lintsAs('DROP TABLE\n-- rollback-safe: no\nd', 'contracts: -');
  await lintsAs('/*\n-- rollback-safe: no\n*/ DROP TABLE d', 'contracts: -');
  await lintsAs(
    "SELECT '\n-- rollback-safe: no\n', md5(c) FROM t; DROP TABLE d",
    'contracts: -',
    'contracts: -',
  );
  await lintsAs('-- rollback-safe: no\nDROP TABEL d', 'contracts: -');
});

test('what is accepted does not count as contracting', async () => {
  const [findings] = await lintMigrations(['-- rollback-safe: nobody reads it\nDROP TABLE d'], NAMES);
  const [both] = await lintMigrations(['-- rollback-safe: x\nDROP TABLE d;\nDROP TABLE e'], NAMES);
  assert.equal(
    contracting([
      { name: 'a', findings: findings! },
      { name: 'b', findings: both! },
    ]),
    ['b'],
  );
});

test('a file that is not SQL is contracting', async () => {
  const [finding] = await lint('ALTER TABEL t ADD c int');
  assert.is(finding?.kind, 'contracts');
  assert.match(finding!.what, /^can't be read: syntax error/);
});

test('a table that one migration makes is known to the next, and a view too; the names stay as they were', async () => {
  const files = [
    'CREATE TABLE new (i int); CREATE VIEW seen AS SELECT 1',
    'ALTER TABLE new DROP COLUMN i',
    'SELECT * FROM seen',
  ];
  const found = await lintMigrations(files, NAMES);
  assert.equal(
    found.map(risks => risks.length),
    [0, 0, 1],
  );
  assert.equal([...NAMES.views], ['v']);
});

test.run();
