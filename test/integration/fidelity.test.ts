import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { succeed } from '../support/core/expect.ts';
import { finishHere, makeBackup, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { propertiesOf } from '../support/postgres/compare.ts';
import { countsWhileWriting, hardSchema, latin1 } from '../support/postgres/fidelity.ts';

const READER = '"Reader, ""Role"""';
const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/** In both formats: test/long/integration/fidelity.test.ts. */
test('a schema of everything that is hard to dump comes back the same, with owners and privileges', () =>
  inTurn(world => hardSchema(world, ['plain'])));

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
    const before = await propertiesOf(world);
    await makeBackup(world, { format: 'custom' });
    await restoreHere(world, 'latest');
    assert.equal(await propertiesOf(world), before, 'restored beside the live one');
    await restoreHere(world, undefined, { undo: true });
    assert.equal(await propertiesOf(world), before, 'swapped back');

    await finishHere(world);
    await world.sql(`DROP DATABASE ${database}`, 'postgres');
    await succeed(world, 'restore', 'latest', '--yes');
    assert.equal(await propertiesOf(world), before, 'restored on a server without it');
  }));

/** In the other formats: test/long/integration/fidelity.test.ts. */
test('a database of another encoding, with names that only it can spell', () =>
  inTurn(world => latin1(world, ['custom'])));

test('the manifest counts exactly what was dumped while clients write', () =>
  inTurn(world => countsWhileWriting(world, ['plain'])));

test('the servers stop', stop);

test.run();
