import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packDefinitions } from '../../../scripts/lib/backup/packed-definitions.ts';
import { readDefinitions } from '../../../scripts/lib/postgres/definitions.ts';
import { openSession } from '../../../scripts/lib/postgres/session.ts';
import { plant } from '../../support/backup/old-backups.ts';
import { captured } from '../../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import type { World } from '../../support/core/world.ts';
import { databases, propertiesOf } from '../../support/postgres/compare.ts';

const { inTurn, stop } = await createTurns();

async function definitionsOf(world: World) {
  const session = openSession(world.pg.postgres, world.database);
  try {
    return await readDefinitions(session);
  } finally {
    await session.close();
  }
}

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
