import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Content, contentOf, program, propertiesOf } from '../support/compare.ts';
import { succeed } from '../support/expect.ts';
import { countsWhileWriting, latin1 } from '../support/fidelity.ts';
import { finishHere, makeBackup, restoreHere } from '../support/in-process.ts';
import { createTurns } from '../support/turns.ts';

const HARD = join(import.meta.dirname, '../support/hard-schema.sql');
const READER = '"Reader, ""Role"""';
const FORMATS = ['plain', 'custom'] as const;
const { inTurn, stop } = await createTurns();

/**
 * What docs/PRODUCTION_INFRASTRUCTURE.md promises of owners and grants: all is POSTGRES_USER's, with the privileges
 * that are PostgreSQL's default.
 */
function afterRestore({ objects }: Content['rights'], user: string): Content['rights'] {
  const defaults: Record<string, { owner: string; acl: string[] | null }> = {
    'schema public': {
      owner: 'pg_database_owner',
      acl: ['=U/pg_database_owner', 'pg_database_owner=UC/pg_database_owner'],
    },
  };
  return {
    objects: objects
      .filter(({ type }) => !type.endsWith('column')) // which are there for their privileges only
      .map(({ type, identity }) => ({
        type,
        identity,
        ...(defaults[`${type} ${identity}`] ?? { owner: user, acl: null }),
      })),
    defaults: [],
  };
}

test('a schema of everything that is hard to dump comes back the same in both formats, but for owners and grants', () =>
  inTurn(async world => {
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
    // Else what follows compares nothing.
    const { objects, defaults } = before.rights;
    assert.ok(objects.filter(({ owner }) => owner === 'writer').length > 10, 'owners');
    assert.ok(objects.filter(({ acl }) => acl !== null).length > 15, 'privileges');
    assert.is(defaults.length, 3);
    const commentsIn = (text: string) => text.match(/^COMMENT ON/gm)?.length ?? 0;
    assert.ok(commentsIn(before.dump) >= commentsIn(readFileSync(HARD, 'utf8')), 'comments');
    assert.ok(JSON.stringify(before.tables).includes('CamelCase Table'));

    for (const format of FORMATS) {
      const backup = await makeBackup(world, { format, upload: false });
      assert.is(backup.migrationHead, '20260102000000_users');
      assert.equal(
        backup.extensions.map(({ name }) => name),
        ['btree_gist', 'citext', 'hstore', 'pgcrypto', 'plpgsql', 'postgres_fdw'],
      );
      assert.is(backup.largeObjects, 3);
      await world.sql(
        `DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA "Zweites Schema" CASCADE;
         SELECT lo_unlink(4711)`,
      );
      const restored = await restoreHere(world, backup.id);
      assert.is(restored.restored, backup.id);
      const after = await contentOf(world);
      assert.equal(after.tables, before.tables);
      assert.equal(after.largeObjects, before.largeObjects);
      assert.is(after.dump, before.dump, `${format}: the dumps differ`);
      assert.equal(after.rights, afterRestore(before.rights, 'postgres'));
      await finishHere(world);
    }
  }));

test('an ICU database keeps owner, locale, limit, settings, privileges and comment', () =>
  inTurn(async world => {
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
    await makeBackup(world, { format: 'custom' });
    await restoreHere(world, 'latest');
    assert.equal(await propertiesOf(world), before, 'restored beside the live one');
    await restoreHere(world, undefined, { undo: true });
    assert.equal(await propertiesOf(world), before, 'swapped back');

    await finishHere(world);
    await world.sql(`DROP DATABASE ${database}`, 'postgres');
    await succeed(world, 'restore', 'latest', '--from', 's3', '--yes');
    assert.equal(await propertiesOf(world), before, 'restored on a server without it');
  }));

/** In the other formats: test/long/integration/fidelity.test.ts. */
test('a database of another encoding, with names that only it can spell', () =>
  inTurn(world => latin1(world, ['custom'])));

test('the manifest counts exactly what was dumped while clients write', () =>
  inTurn(world => countsWhileWriting(world, ['plain'])));

test('the servers stop', stop);

test.run();
