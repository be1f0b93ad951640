import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { contentOf, databases, program, propertiesOf } from '../support/compare.ts';
import { succeed } from '../support/expect.ts';
import { inWorld } from '../support/world.ts';
import { startWriters } from '../support/writers.ts';

const HARD = join(import.meta.dirname, '../support/hard-schema.sql');
const READER = '"Reader, ""Role"""';

test('a schema of everything that is hard to dump comes back the same, in both formats', () =>
  inWorld(async world => {
    await world.sql(`CREATE ROLE ${READER}`);
    await program(
      world,
      'psql',
      '-qX',
      '-vON_ERROR_STOP=1',
      '-o/dev/null',
      `-d${world.database}`,
      `-f${HARD}`,
    );
    const before = await contentOf(world);
    for (const format of ['plain', 'custom']) {
      const { backup } = await succeed(world, 'backup', '--format', format);
      assert.is(backup.migrationHead, '20260102000000_users');
      assert.equal(
        backup.extensions.map(({ name }: { name: string }) => name),
        ['btree_gist', 'citext', 'hstore', 'pgcrypto', 'plpgsql', 'postgres_fdw'],
      );
      assert.is(backup.largeObjects, 3);
      await world.sql(
        `DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA "Zweites Schema" CASCADE;
         SELECT lo_unlink(4711)`,
      );
      const restored = await succeed(world, 'restore', backup.id, '--yes');
      assert.is(restored.restored, backup.id);
      const after = await contentOf(world);
      assert.equal(after.tables, before.tables);
      assert.equal(after.largeObjects, before.largeObjects);
      assert.is(after.dump, before.dump, `${format}: the dumps differ`);
      await succeed(world, 'restore', '--finish', '--yes');
    }
    const script = readFileSync(HARD, 'utf8');
    assert.ok(before.dump.length > script.length, 'the schema is in the dump');
  }));

test('an ICU database keeps owner, locale, limit, settings, privileges and comment', () =>
  inWorld(async world => {
    const { database } = world;
    await world.sql(`DROP DATABASE ${database}`, 'postgres');
    await world.sql(`CREATE ROLE "Own er"; CREATE ROLE ${READER} LOGIN; CREATE ROLE writer`, 'postgres');
    await world.sql(
      `CREATE DATABASE ${database} TEMPLATE template0 OWNER "Own er" LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'
        LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' CONNECTION LIMIT 77`,
      'postgres',
    );
    await world.sql(`CREATE SCHEMA "a, ""b"; CREATE TABLE t AS SELECT 1 AS i;
      COMMENT ON DATABASE ${database} IS E'it''s the\n\\ live one';
      ALTER DATABASE ${database} SET search_path = "$user", "a, ""b", public;
      ALTER DATABASE ${database} SET session_preload_libraries = 'auto_explain';
      ALTER DATABASE ${database} SET "my.setting" = 'a=b ''c'' "d", e';
      ALTER DATABASE ${database} SET timezone = 'Europe/Paris';
      ALTER ROLE ${READER} IN DATABASE ${database} SET search_path = '';
      ALTER ROLE ${READER} IN DATABASE ${database} SET statement_timeout = '5min';
      ALTER ROLE writer IN DATABASE ${database} SET search_path = "a, ""b";
      REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
      REVOKE TEMPORARY ON DATABASE ${database} FROM "Own er";
      GRANT CONNECT ON DATABASE ${database} TO ${READER} WITH GRANT OPTION;
      GRANT CREATE, TEMPORARY ON DATABASE ${database} TO writer`);
    const before = await propertiesOf(world);
    await succeed(world, 'backup', '--format', 'custom');
    await succeed(world, 'restore', 'latest', '--yes');
    assert.equal(await propertiesOf(world), before, 'restored beside the live one');
    await succeed(world, 'restore', '--undo', '--yes');
    assert.equal(await propertiesOf(world), before, 'swapped back');

    await succeed(world, 'restore', '--finish', '--yes');
    await world.sql(`DROP DATABASE ${database}`, 'postgres');
    await succeed(world, 'restore', 'latest', '--from', 's3', '--yes');
    assert.equal(await propertiesOf(world), before, 'restored on a server without it');
  }));

test('a database of another encoding, with names that only it can spell', () =>
  inWorld(async world => {
    const { database } = world;
    await world.sql(`DROP DATABASE ${database}`, 'postgres');
    await world.sql(
      `CREATE DATABASE ${database} TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'`,
      'postgres',
    );
    await world.sql(`CREATE TABLE U&"Caf\\00E9" AS SELECT U&'cr\\00E8me br\\00FBl\\00E9e' AS U&"d\\00EEner"`);
    const before = await contentOf(world);
    for (const format of ['plain', 'custom']) {
      const { backup } = await succeed(world, 'backup', '--format', format);
      assert.equal(backup.tables, [{ schema: 'public', name: 'Café', rows: 1 }]);
      await succeed(world, 'restore', backup.id, '--yes');
      assert.equal(await contentOf(world), before);
    }
  }));

test('the manifest counts exactly what was dumped while clients write', () =>
  inWorld(async world => {
    await world.sql(
      'CREATE TABLE left_side (id text PRIMARY KEY); CREATE TABLE right_side (id text PRIMARY KEY)',
    );
    const writers = startWriters(
      world,
      { holding: 3, reconnecting: 1 },
      id => `WITH l AS (INSERT INTO left_side VALUES ('${id}')) INSERT INTO right_side VALUES ('${id}')`,
    );
    try {
      for (const format of ['plain', 'custom']) {
        await writers.acknowledge(50);
        const { backup } = await succeed(world, 'backup', '--format', format, '--no-upload');
        await writers.acknowledge(50);
        const [left, right] = backup.tables as { name: string; rows: number }[];
        assert.equal([left!.name, right!.name], ['left_side', 'right_side']);
        assert.is(left!.rows, right!.rows, 'both sides are of one moment');
        const database = `fished_${format}`;
        await succeed(world, 'restore', backup.id, '--database', database, '--yes');
        const [found] = await world.rows<{ left: number; right: number }>(
          'SELECT (SELECT count(*) FROM left_side) AS left, (SELECT count(*) FROM right_side) AS right',
          database,
        );
        assert.equal(found, { left: left!.rows, right: right!.rows });
        const [live] = await world.rows<{ rows: number }>('SELECT count(*) AS rows FROM left_side');
        assert.ok(live!.rows > left!.rows, 'clients went on writing');
      }
      assert.equal(await databases(world), ['app', 'fished_custom', 'fished_plain']);
    } finally {
      await writers.stop();
    }
    assert.equal(writers.failures, []);
  }));

test.run();
