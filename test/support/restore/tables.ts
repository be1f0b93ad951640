/** Single tables that restore.ts --table brings into a schema of the live database. */
import { readdirSync } from 'node:fs';
import * as assert from 'uvu/assert';
import type { Format } from '../../../scripts/lib/backup/manifest.ts';
import { fingerprint } from '../../../scripts/lib/postgres/row-counts.ts';
import { leftInServer } from '../../../scripts/lib/restore/leftovers.ts';
import { parseAction } from '../../../scripts/lib/restore/options.ts';
import { restoreTables } from '../../../scripts/lib/restore/restore-tables.ts';
import { configOf } from '../backup/old-backups.ts';
import { makeBackup } from '../core/in-process.ts';
import type { World } from '../core/world.ts';
import { databases } from '../postgres/compare.ts';

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
    (await fingerprint(sql => world.rows(sql)))
      .filter(table => table.schema === schema)
      .map(({ name, rows, hash }) => [name, `${rows} ${hash}`]),
  );

/** Makes tables of many kinds, and a backup of them. */
export async function backUpTables(world: World, format: Format): Promise<void> {
  await world.sql(TABLES);
  await makeBackup(world, { format, upload: false });
}

export interface Brought {
  schema: string;
  tables: { name: string; insert: string }[];
}

/** What `restore.ts latest --yes` and these tables does, in this process. */
export async function bring(world: World, ...table: string[]): Promise<Brought> {
  const request = parseAction('latest', { table, yes: true }) as Parameters<typeof restoreTables>[1];
  return (await restoreTables(configOf(world, {}), request)).json as Brought;
}

/** As in the newest backup, of {@link backUpTables}: the tables as they were, and the rows that are brought back; nothing else changes. */
export async function assertTablesReturn(
  world: World,
  restore: (names: string[]) => Promise<Brought>,
): Promise<void> {
  const before = { ...(await hashes(world, 'public')), ...(await hashes(world, 'Shop.x')) };
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
  const { schema, tables } = await restore(names);
  assert.match(schema, /^restored_\d{8}_\d{6}$/);
  const restored = await hashes(world, schema);
  for (const name of ['member', 'Order "Items', 'base', 'heir', 'empty'])
    assert.is(restored[name], before[name], name);
  assert.is(restored.part!.split(' ')[0], '51', 'of all partitions');
  assert.equal(await hashes(world, 'public'), live, 'the live tables are as they were');
  assert.equal(await databases(world), ['app'], 'the scratch database is gone');
  assert.equal(await leftInServer(configOf(world, {}), 60), [], 'the schema is finished');
  assert.equal(
    readdirSync(world.env.BACKUP_DIR!).filter(name => name.startsWith('.')),
    [],
  );

  const { insert } = tables.find(({ name }) => name === 'member')!;
  await world.sql(insert);
  const [row] = await world.rows<{ all: number; changed: number; twice: number }>(
    `SELECT count(*) AS all, count(*) FILTER (WHERE name = 'changed') AS changed,
       count(*) FILTER (WHERE length <> length(name)) AS twice FROM member`,
  );
  assert.equal(row, { all: 301, changed: 1, twice: 0 });
  await world.sql(`DROP SCHEMA ${schema} CASCADE`);
}
