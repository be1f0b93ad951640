import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packDefinitions } from '../../scripts/lib/backup/packed-definitions.ts';
import { compareDefinitions } from '../../scripts/lib/postgres/compare-definitions.ts';
import { readDefinitions } from '../../scripts/lib/postgres/definitions.ts';
import { openSession } from '../../scripts/lib/postgres/session.ts';
import { plant } from '../support/backup/old-backups.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { ALTERATIONS } from '../support/postgres/alterations.ts';
import { databases, program, propertiesOf } from '../support/postgres/compare.ts';
import { HARD_SCHEMA } from '../support/postgres/fidelity.ts';

const EXPRESSIONS = join(import.meta.dirname, '../support/postgres/expressions.sql');
const { inTurn, stop } = await createTurns();

async function definitionsOf(world: World) {
  const session = openSession(world.pg.postgres, world.database);
  try {
    return await readDefinitions(session);
  } finally {
    await session.close();
  }
}

test('a changed object of each kind is found and named, and nothing else', () =>
  inTurn(async world => {
    const psql = (...args: string[]) =>
      program(world, 'psql', '-qX', '-vON_ERROR_STOP=1', '-o/dev/null', `-d${world.database}`, ...args);
    await psql(`-f${HARD_SCHEMA}`);
    await world.sql(
      `CREATE VIEW constants AS SELECT '1 day 2 hours'::interval AS i, '2020-02-03'::date AS d, '\\x00ff'::bytea AS b,
        0.1::float8 AS f, E'a\\\\b' AS t, '2020-02-03 04:05+00'::timestamptz AS tz`,
    );
    const before = await definitionsOf(world);
    assert.ok(Object.keys(before).length > 30, 'kinds');

    // What a database sets for its sessions changes the form of definitions.
    for (const setting of [
      `search_path = "Zweites Schema", public, ext`,
      `timezone = 'Asia/Tokyo'`,
      `datestyle = 'German'`,
      `intervalstyle = 'iso_8601'`,
      `bytea_output = 'escape'`,
      'extra_float_digits = -5',
      'quote_all_identifiers = on',
      'standard_conforming_strings = off',
    ])
      await world.sql(`ALTER DATABASE ${world.database} SET ${setting}`, 'postgres');
    assert.equal(compareDefinitions(before, await definitionsOf(world)), []);
    await world.sql(`ALTER DATABASE ${world.database} RESET ALL`, 'postgres');

    // As later minor versions mark a column; no dump holds it.
    const mark = (options: string) =>
      world.sql(`UPDATE pg_attribute SET attoptions = ${options} WHERE attrelid =
      (SELECT min(oid::int8)::oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace) AND attnum = 1`);
    await mark(`'{pg_attver=26493240}'`);
    assert.equal(compareDefinitions(before, await definitionsOf(world)), []);
    await mark('NULL');

    await psql(...ALTERATIONS.flatMap(([sql]) => ['-c', sql]));
    const found = compareDefinitions(before, await definitionsOf(world)).map(({ message }) => message);
    const expected = [...new Set(ALTERATIONS.flatMap(([, ...messages]) => messages))];
    assert.equal(found.sort(), expected.sort());
  }));

/** A comparison that is too strict would refuse good backups: their expressions have been loaded from a print. */
test('what is dumped and loaded is the same, in whatever way expressions are printed then', () =>
  inTurn(async world => {
    await program(world, 'psql', '-qX', '-vON_ERROR_STOP=1', '-o/dev/null', '-dapp', `-f${EXPRESSIONS}`);
    const check = `SELECT pg_get_constraintdef(oid) AS printed FROM pg_constraint WHERE conname = 'a_status_check'`;
    const first = await world.rows(check);
    const { id } = await makeBackup(world, { upload: false });
    const { stderr } = await captured(() => restoreHere(world, id, { database: 'again' }));
    assert.match(stderr, /compared with the backup: .*, all definitions/);
    assert.not.match(stderr, /not all is as in the backup/);
    assert.not.equal(await world.rows(check, 'again'), first, 'it is printed in another way');
  }));

test('a restore that lacks something is refused and says what', () =>
  inTurn(async world => {
    await world.sql(`CREATE ROLE app_user; CREATE TABLE users (id int PRIMARY KEY, name text);
      CREATE FUNCTION read_secrets() RETURNS text SECURITY DEFINER LANGUAGE sql AS $$ SELECT 'secret' $$`);
    const made = await makeBackup(world, { upload: false });
    const without = await definitionsOf(world);
    await world.sql(`REVOKE EXECUTE ON FUNCTION read_secrets() FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION read_secrets() TO app_user`);
    const revoked = await definitionsOf(world);
    await world.sql('ALTER TABLE users ADD born date; CREATE INDEX users_name ON users (name)');
    const grown = await definitionsOf(world);
    let days = 0;
    /** A restore of that backup as if its manifest were another. */
    const restore = async (definitions: typeof grown | null, ownership: boolean) => {
      const manifest = {
        needs: ownership ? made.needs : undefined,
        definitions: definitions && packDefinitions(definitions),
      };
      const { id } = await plant(world.env.BACKUP_DIR!, made.id, { days: ++days, manifest });
      return () => restoreHere(world, id, { database: `restored_${days}` });
    };
    const privileges = /privileges of function public\.read_secrets\(\) are not those of the backup/;
    const message = await refused(
      await restore({ ...grown, 'value of': {} }, true),
      3,
      /\(3 differences\)/,
      /column public\.users\.born is missing\n/,
      /index public\.users_name is missing\n/,
      privileges,
    );
    assert.match(message, /the live database is unchanged/);
    await refused(await restore(revoked, true), 3, /\(1 difference\)/, privileges);
    assert.equal(await databases(world), ['app']);

    const kept = await captured(await restore(revoked, false));
    assert.is(kept.code, 0, kept.stderr);
    assert.match(kept.stderr, /owners and privileges are not compared/);
    const old = await captured(await restore(null, false));
    assert.is(old.code, 0, old.stderr);
    assert.match(
      old.stderr,
      /definitions are not compared: an older version of these scripts made the backup/,
    );
    const version = { ...without, 'version of': { 'extension absent': '1.0' }, subscription: { feed: '0' } };
    const warned = await captured(await restore(version, false));
    assert.is(warned.code, 0, warned.stderr);
    assert.match(
      warned.stderr,
      /warning: .*\(2 differences\):\n {2}subscription feed is missing\n {2}version of/,
    );
  }));

test('a sequence behind its column is said when it is backed up and when it is restored', () =>
  inTurn(async world => {
    await world.sql(`
      CREATE TABLE fine (id serial PRIMARY KEY); INSERT INTO fine SELECT FROM generate_series(1, 3);
      CREATE TABLE unused (id serial PRIMARY KEY);
      CREATE TABLE "Imported" ("Id" serial PRIMARY KEY); INSERT INTO "Imported" VALUES (100);
      CREATE TABLE identity (id bigint GENERATED BY DEFAULT AS IDENTITY); INSERT INTO identity VALUES (7), (9007199254740995);
      CREATE SEQUENCE shared START 10; CREATE TABLE one (id int DEFAULT nextval('shared'));
      CREATE TABLE two (id int DEFAULT nextval('shared')); INSERT INTO two VALUES (DEFAULT), (11);
      CREATE SEQUENCE down INCREMENT -2 START -1; CREATE TABLE below (id int DEFAULT nextval('down')); INSERT INTO below VALUES (-8);
      CREATE SEQUENCE round CYCLE; CREATE TABLE again (id int DEFAULT nextval('round')); INSERT INTO again VALUES (5);
      CREATE TABLE named (code text DEFAULT 'A' || nextval('round')); INSERT INTO named VALUES ('A99')`);
    const sentences = [
      'sequence public."Imported_Id_seq" is at 0, but column public."Imported"."Id" at 100',
      'sequence public.down is at 1, but column public.below.id at -8',
      'sequence public.identity_id_seq is at 0, but column public.identity.id at 9007199254740995',
      'sequence public.shared is at 10, but column public.two.id at 11',
    ];
    const { value: backup, stderr } = await captured(() => makeBackup(world, { upload: false }));
    assert.equal(
      backup!.warnings.map(warning => warning.split(':')[0]),
      sentences,
    );
    assert.match(backup!.warnings[0]!, /Run: SELECT setval\('public\."Imported_Id_seq"', 100\)$/);
    const restored = await captured(() => restoreHere(world, backup!.id));
    for (const sentence of sentences)
      for (const text of [stderr, restored.stderr]) assert.ok(text.includes(`warning: ${sentence}`), text);
    assert.is(restored.code, 0);
  }));

/** As in a cluster of initdb --locale-provider=icu. */
test('a database of libc in a cluster of ICU comes back as one of libc', () =>
  inTurn(async world => {
    const template = (provider: string, locale: string, version: string) =>
      world.sql(
        `SET allow_system_table_mods = on; UPDATE pg_database SET datlocprovider = '${provider}',
           daticulocale = ${locale}, datcollversion = ${version} WHERE datname = 'template0'`,
        'postgres',
      );
    await template('i', `'und'`, 'NULL');
    try {
      await world.sql('DROP DATABASE app', 'postgres');
      await world.sql(
        `CREATE DATABASE app TEMPLATE template0 LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'`,
        'postgres',
      );
      await world.sql(`CREATE TABLE t AS SELECT unnest(ARRAY['b', 'A', 'a', 'B']) AS c`);
      const sorted = async () =>
        (await world.rows<{ c: string }>('SELECT c FROM t ORDER BY c')).map(({ c }) => c);
      const before = [await propertiesOf(world), await sorted()];
      assert.equal(before[1], ['A', 'B', 'a', 'b']);
      const backup = await makeBackup(world, { upload: false });
      assert.is(backup.server.provider, 'libc');
      await restoreHere(world, backup.id);
      assert.equal([await propertiesOf(world), await sorted()], before, 'beside the live one');
      await restoreHere(world, undefined, { finish: true });
      await world.sql('DROP DATABASE app', 'postgres');
      const { stderr } = await captured(() => restoreHere(world, backup.id));
      assert.equal([await propertiesOf(world), await sorted()], before, 'without a live one');
      assert.not.match(stderr, /provider/);

      // A live database that an operator has made otherwise counts, and that is said.
      await restoreHere(world, undefined, { finish: true }).catch(() => {});
      await world.sql('DROP DATABASE app', 'postgres');
      await world.sql('CREATE DATABASE app TEMPLATE template0', 'postgres');
      const other = await captured(() => restoreHere(world, backup.id));
      assert.is(other.code, 0, other.stderr);
      assert.match(other.stderr, /the locale provider of the database is icu, not libc/);
    } finally {
      await template('c', 'NULL', 'NULL');
    }
  }));

test('the servers stop', stop);

test.run();
