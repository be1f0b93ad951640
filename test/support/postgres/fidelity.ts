/** Cases of which one format is enough on every run, and all are tried in the long suite. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Format, Manifest } from '../../../scripts/lib/backup/manifest.ts';
import { rowsOfDump } from '../backup/dump-rows.ts';
import { succeed } from '../core/expect.ts';
import { finishHere, makeBackup, restoreHere } from '../core/in-process.ts';
import type { World } from '../core/world.ts';
import { contentOf, databases, program, propertiesOf } from './compare.ts';
import { startWriters } from './writers.ts';

export const HARD_SCHEMA = join(import.meta.dirname, 'hard-schema.sql');

/**
 * A schema of everything that is hard to dump comes back the same in each format, with its owners and privileges.
 * @param target into which database; default: into the live one, which has lost most of it
 */
export async function hardSchema(world: World, formats: Format[], target?: string): Promise<void> {
  await program(
    world,
    'psql',
    '-qX',
    '-vON_ERROR_STOP=1',
    '-o/dev/null',
    `-d${world.database}`,
    `-f${HARD_SCHEMA}`,
  );
  const before = await contentOf(world);
  // Else what follows compares nothing.
  const { objects, defaults } = before.rights;
  assert.ok(objects.filter(({ owner }) => owner === 'writer').length > 10, 'owners');
  assert.ok(objects.filter(({ acl }) => acl !== null).length > 15, 'privileges');
  assert.is(defaults.length, 3);
  const commentsIn = (text: string) => text.match(/^COMMENT ON/gm)?.length ?? 0;
  assert.ok(commentsIn(before.dump) >= commentsIn(readFileSync(HARD_SCHEMA, 'utf8')), 'comments');
  assert.ok(JSON.stringify(before.tables).includes('CamelCase Table'));

  for (const format of formats) {
    const backup = await makeBackup(world, { format, upload: false });
    assert.is(backup.migrationHead, '20260102000000_users');
    assert.equal(
      backup.extensions.map(({ name }) => name),
      ['btree_gist', 'citext', 'hstore', 'pgcrypto', 'plpgsql', 'postgres_fdw'],
    );
    assert.is(backup.largeObjects, 3);
    if (!target)
      await world.sql(
        `DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA "Zweites Schema" CASCADE;
         SELECT lo_unlink(4711)`,
      );
    const restored = await restoreHere(world, backup.id, { database: target });
    assert.is(restored.restored, backup.id);
    const after = await contentOf(world, target);
    assert.equal(after.tables, before.tables);
    assert.equal(after.largeObjects, before.largeObjects);
    assert.is(after.dump, before.dump, `${format}: the dumps differ`);
    assert.equal(after.rights, before.rights, format);
    if (!target) await finishHere(world);
  }
}

/** A database of another encoding, with names that only it can spell, comes back in each format. */
export async function latin1(world: World, formats: Format[]): Promise<void> {
  const { database } = world;
  await world.sql(`DROP DATABASE ${database}`, 'postgres');
  await world.sql(
    `CREATE DATABASE ${database} TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'`,
    'postgres',
  );
  await world.sql(LATIN1);
  const before = [await contentOf(world), await propertiesOf(world)];
  for (const format of formats) {
    const backup = await makeBackup(world, { format, upload: false });
    assert.equal(backup.tables, [{ schema: 'public', name: 'Café', rows: 1 }]);
    await world.sql(`UPDATE U&"Caf\\00E9" SET U&"d\\00EEner" = ''`);
    await restoreHere(world, backup.id);
    assert.equal([await contentOf(world), await propertiesOf(world)], before);
  }
}

const READER = '"Reader, ""Role"""';

/** Makes an ICU database with an owner, a limit, settings, privileges and a comment. */
async function createIcu(world: World, encoding: string): Promise<void> {
  const { database } = world;
  await world.sql(`DROP DATABASE ${database}`, 'postgres');
  await world.sql(`CREATE ROLE "Own er"; CREATE ROLE ${READER} LOGIN; CREATE ROLE writer`, 'postgres');
  await world.sql(
    `CREATE DATABASE ${database} TEMPLATE template0 OWNER "Own er" ${encoding}
      LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' CONNECTION LIMIT 77`,
    'postgres',
  );
  await world.sql(`CREATE SCHEMA "a, ""b"; CREATE TABLE t AS SELECT 1 AS i;
    COMMENT ON DATABASE ${database} IS E'it''s the\n\\ live one';
    ALTER DATABASE ${database} SET search_path = "$user", "a, ""b", public;
    ALTER DATABASE ${database} SET session_preload_libraries = 'auto_explain';
    ALTER DATABASE ${database} SET "my.setting" = 'a=b ''c'' "d", e';
    ALTER DATABASE ${database} SET timezone = 'Europe/Paris';
    ALTER DATABASE ${database} SET "app.current_user" = 'nobody';
    ALTER ROLE writer IN DATABASE ${database} SET "select.from.where" = '"';
    ALTER DATABASE ${database} SET temp_tablespaces = 'pg_default', '';
    ALTER ROLE ${READER} IN DATABASE ${database} SET search_path = '';
    ALTER ROLE ${READER} IN DATABASE ${database} SET statement_timeout = '5min';
    ALTER ROLE writer IN DATABASE ${database} SET search_path = "a, ""b";
    REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
    REVOKE TEMPORARY ON DATABASE ${database} FROM "Own er";
    GRANT CONNECT ON DATABASE ${database} TO ${READER} WITH GRANT OPTION;
    GRANT CREATE, TEMPORARY ON DATABASE ${database} TO writer;
    SET ROLE ${READER}; GRANT CONNECT ON DATABASE ${database} TO writer WITH GRANT OPTION; RESET ROLE;
    SET ROLE writer; GRANT CONNECT ON DATABASE ${database} TO "Own er"`);
}

/** An ICU database keeps owner, locale, limit, settings, privileges and comment. */
async function icu(world: World): Promise<void> {
  await createIcu(world, `LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'`);
  const before = await propertiesOf(world);
  await makeBackup(world, { format: 'custom' });
  await restoreHere(world, 'latest');
  assert.equal(await propertiesOf(world), before, 'restored beside the live one');
}

const LATIN1 = `CREATE TABLE U&"Caf\\00E9" AS SELECT U&'cr\\00E8me br\\00FBl\\00E9e' AS U&"d\\00EEner"`;

/**
 * The same, in an encoding in which names are other bytes than in UTF-8.
 * @param isLost whether there is no live database any more
 */
export async function icuOfAnotherEncoding(world: World, isLost: boolean): Promise<void> {
  await createIcu(world, `ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'POSIX'`);
  await world.sql(LATIN1);
  const before = [await contentOf(world), await propertiesOf(world)];
  const backup = await makeBackup(world, { format: 'custom', upload: false });
  assert.ok(backup.tables.some(({ name }) => name === 'Café'));
  if (isLost) await world.sql(`DROP DATABASE ${world.database}`, 'postgres');
  else await world.sql(`UPDATE U&"Caf\\00E9" SET U&"d\\00EEner" = ''`);
  await restoreHere(world, backup.id);
  assert.equal([await contentOf(world), await propertiesOf(world)], before);
}

/** The same after the way back, and on a server without the database. */
export async function icuEverywhere(world: World): Promise<void> {
  await icu(world);
  const before = await propertiesOf(world);
  await restoreHere(world, undefined, { undo: true });
  assert.equal(await propertiesOf(world), before, 'swapped back');

  await finishHere(world);
  await world.sql(`DROP DATABASE ${world.database}`, 'postgres');
  await succeed(world, 'restore', 'latest', '--yes');
  assert.equal(await propertiesOf(world), before, 'restored on a server without it');
}

/** Rows of both tables of {@link countsWhileWriting}. */
interface Sides {
  left: number;
  right: number;
}

/** What a restore of a backup has of both tables. */
export async function restoredSides(world: World, { id, format }: Manifest): Promise<Sides> {
  const target = `fished_${format}`;
  await restoreHere(world, id, { database: target });
  assert.equal(await databases(world), ['app', target]);
  const [found] = await world.rows<Sides>(
    'SELECT (SELECT count(*) FROM left_side) AS left, (SELECT count(*) FROM right_side) AS right',
    target,
  );
  await world.sql(`DROP DATABASE ${target}`, 'postgres');
  return found!;
}

/** What a plain dump has of both tables. */
export async function dumpedSides(world: World, { artifact }: Manifest): Promise<Sides> {
  const { left_side, right_side } = rowsOfDump(join(world.env.BACKUP_DIR!, artifact.name));
  return { left: left_side!, right: right_side! };
}

/** The manifest counts exactly what was dumped while clients write. */
export async function countsWhileWriting(
  world: World,
  formats: Format[],
  rowsOf: (world: World, manifest: Manifest) => Promise<Sides>,
): Promise<void> {
  await world.sql(
    // A sequence belongs to no snapshot: it moves on while it is dumped.
    'CREATE TABLE left_side (id text PRIMARY KEY, n serial); CREATE TABLE right_side (id text PRIMARY KEY)',
  );
  for (const format of formats) {
    const writers = startWriters(
      world,
      { holding: 3, reconnecting: 1 },
      id =>
        `WITH l AS (INSERT INTO left_side VALUES ('${format}${id}')) INSERT INTO right_side VALUES ('${format}${id}')`,
    );
    try {
      await writers.acknowledge(30);
      const backup = await makeBackup(world, { format, upload: false });
      await writers.acknowledge(30);
      await writers.stop();
      const [left, right] = backup.tables;
      assert.equal([left!.name, right!.name], ['left_side', 'right_side']);
      assert.is(left!.rows, right!.rows, 'both sides are of one moment');
      assert.ok(left!.rows >= 30);
      assert.equal(await rowsOf(world, backup), { left: left!.rows, right: right!.rows });
      const [live] = await world.rows<{ rows: number }>('SELECT count(*) AS rows FROM left_side');
      assert.ok(live!.rows >= left!.rows + 30, 'clients went on writing');
      assert.equal(writers.failures, []);
    } finally {
      await writers.stop();
    }
  }
}
