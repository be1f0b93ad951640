/** restore.ts --table brings single tables into a schema of the live database, and touches nothing else. */
import { readdirSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { queryOf } from '../../scripts/lib/postgres/query.ts';
import { fingerprint } from '../../scripts/lib/postgres/row-counts.ts';
import { parseAction } from '../../scripts/lib/restore/options.ts';
import { restoreTables } from '../../scripts/lib/restore/restore-tables.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { failed, succeed } from '../support/core/expect.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup, refused } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { databases } from '../support/postgres/compare.ts';

const { inTurn, stop } = await createTurns();

const TABLES = `
  CREATE SCHEMA "Shop.x";
  CREATE TYPE mood AS ENUM ('sad', 'gl"ad');
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE TABLE member (
    id int GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY, name text NOT NULL, mood mood, moods mood[],
    size positive, length int GENERATED ALWAYS AS (length(name)) STORED, at timestamptz, data bytea, f float8, span interval);
  INSERT INTO member (name, mood, moods, size, at, data, f, span)
    SELECT E'n\\t\\\\' || i, 'gl"ad', '{sad,"gl\\"ad"}', i, '2026-01-31 10:00:00.123456+02', '\\x00ff0a', 0.1 + 0.2 * i, '1 mon -3 days'
    FROM generate_series(1, 300) AS i;
  INSERT INTO member (name) VALUES ('');
  CREATE TABLE "Shop.x"."Order ""Items" ("Id" int, "order" text, PRIMARY KEY ("Id"));
  INSERT INTO "Shop.x"."Order ""Items" VALUES (1, NULL), (2, 'x');
  CREATE TABLE part (d date, v int) PARTITION BY RANGE (d);
  CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
  INSERT INTO part SELECT '2026-01-01'::date + i, i FROM generate_series(0, 50) AS i;
  CREATE TABLE base (a int); CREATE TABLE heir (b int) INHERITS (base);
  INSERT INTO base VALUES (1); INSERT INTO heir VALUES (2, 3);
  CREATE TABLE empty ();`;

const hashes = async (world: World, schema: string) =>
  Object.fromEntries(
    (await fingerprint(queryOf(world.pg.postgres, 'app')))
      .filter(table => table.schema === schema)
      .map(({ name, rows, hash }) => [name, `${rows} ${hash}`]),
  );

/** What `restore.ts latest --yes` and these tables does. */
const bring = (world: World, ...table: string[]) => {
  const request = parseAction('latest', { table, yes: true }) as Parameters<typeof restoreTables>[1];
  return restoreTables(configOf(world, {}), request);
};

for (const format of ['plain', 'custom'] as const)
  test(`${format}: the tables as they were, and the rows that are brought back; nothing else changes`, () =>
    inTurn(async world => {
      await world.sql(TABLES);
      const before = { ...(await hashes(world, 'public')), ...(await hashes(world, 'Shop.x')) };
      await makeBackup(world, { format, upload: false });
      await world.sql(`DELETE FROM member WHERE id % 3 = 0; UPDATE member SET name = 'changed' WHERE id = 101;
        DROP TABLE "Shop.x"."Order ""Items"; ALTER TYPE mood ADD VALUE 'new'`);
      const live = await hashes(world, 'public');
      const names = [
        'public.member',
        '"Shop.x"."Order ""Items"',
        'public.part',
        'public.base',
        'public.heir',
        'public.empty',
      ];
      const flags = names.flatMap(name => ['--table', name]);
      const { schema, tables, stderr } = await succeed(world, 'restore', 'latest', ...flags, '--yes');
      assert.match(schema, /^restored_\d{8}_\d{6}$/);
      const restored = await hashes(world, schema);
      for (const name of ['member', 'Order "Items', 'base', 'heir', 'empty'])
        assert.is(restored[name], before[name], `${name}\n${stderr}`);
      assert.is(restored.part!.split(' ')[0], '51', 'of all partitions');
      assert.equal(await hashes(world, 'public'), live, 'the live tables are as they were');
      assert.equal(await databases(world), ['app'], 'the scratch database is gone');
      assert.equal(
        readdirSync(world.env.BACKUP_DIR!).filter(name => name.startsWith('.')),
        [],
      );

      const { insert } = tables.find(({ name }: { name: string }) => name === 'member');
      await world.sql(insert);
      const [row] = await world.rows<{ all: number; changed: number; twice: number }>(
        `SELECT count(*) AS all, count(*) FILTER (WHERE name = 'changed') AS changed,
           count(*) FILTER (WHERE length <> length(name)) AS twice FROM member`,
      );
      assert.equal(row, { all: 301, changed: 1, twice: 0 });
      await world.sql(`DROP SCHEMA ${schema} CASCADE`);
    }));

test('what is not in the backup, or not with --table, is refused before anything is loaded', () =>
  inTurn(async world => {
    await world.sql(TABLES);
    await makeBackup(world, { upload: false });
    const ended = await world.run('restore', ['latest', '--table', 'public.membr', '--yes']);
    failed(ended, 2, /the backup has no table public\.membr/, /similar are: public\.member\./);
    assert.not.match(ended.stderr, /Loading|Checking/);
    await refused(() => bring(world, 'public.member', 'shop.x'), 2, /no table shop\.x/);
    for (const flag of [{ database: 'x' }, { 'no-migrate': true }, { 'allow-small': true }])
      await refused(
        async () => parseAction('latest', { table: ['public.member'], ...flag }),
        2,
        /--table can't be combined/,
      );
    await refused(async () => parseAction(undefined, { undo: true, table: ['a.b'] }), 2, /--table/);
    const dry = await world.run('restore', ['latest', '--table', 'public.member', '--dry-run']);
    assert.is(dry.code, 0, dry.stderr);
    assert.match(dry.stdout, /dry run, nothing was changed.*"public"\."member" → schema restored_/);
    assert.equal(await databases(world), ['app']);
  }));

test('a type that the live database lacks is named; a label that it lacks leaves no schema behind', () =>
  inTurn(async world => {
    await world.sql(TABLES);
    await makeBackup(world, { upload: false });
    const schemas = () => world.rows(`SELECT FROM pg_namespace WHERE nspname LIKE 'restored%'`);
    await world.sql('DROP TABLE member; DROP TYPE mood; DROP DOMAIN positive');
    await refused(
      () => bring(world, 'public.member'),
      1,
      /app lacks types of these tables: public\.mood, public\.mood\[\], public\.positive/,
    );
    await world.sql(`CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN positive AS int`);
    const { code, error } = await captured(() => bring(world, 'public.member'));
    assert.is(code, 1);
    assert.match(
      error,
      /could not copy table "public"\."member": .*invalid input value for enum (public\.)?mood/,
    );
    assert.equal(await schemas(), []);
    assert.equal(await databases(world), ['app']);
  }));

test('the servers stop', stop);

test.run();
