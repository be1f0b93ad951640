import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Postgres } from '../../scripts/lib/config/config.ts';
import { runDrill } from '../../scripts/lib/drill/run-drill.ts';
import { laterLimits } from '../../scripts/lib/postgres/server.ts';
import { openSession } from '../../scripts/lib/postgres/session.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { finishHere, makeBackup, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { databases, contentOf as wholeContentOf } from '../support/postgres/compare.ts';

const { inTurn, stop } = await createTurns();

/** All of a database's content but whose it is. */
async function contentOf(world: World, database?: string) {
  const { rights: _, ...content } = await wholeContentOf(world, database);
  return content;
}

/** Variables that libpq, PostgreSQL's programs, gettext and gzip read. */
const ENVIRONMENT = {
  PGCLIENTENCODING: 'LATIN1',
  PGOPTIONS: '-c statement_timeout=1 -c search_path=evil',
  PGSERVICE: 'nowhere',
  PGSERVICEFILE: '/nowhere',
  PGSYSCONFDIR: '/nowhere',
  PGHOSTADDR: '127.0.0.2',
  PGDATABASE: 'nowhere',
  PGTARGETSESSIONATTRS: 'read-only',
  PGDATESTYLE: 'SQL, DMY',
  PGTZ: 'Pacific/Chatham',
  PGGEQO: 'off',
  PGAPPNAME: 'x',
  PG_COLOR: 'always',
  PSQLRC: '/etc/passwd',
  PSQL_PAGER: 'false',
  PAGER: 'false',
  LC_ALL: 'C.UTF-8',
  LANGUAGE: 'de',
  TZ: 'Pacific/Chatham',
  GZIP: '--suffix=.x',
};

/** Settings of the role and the database. A limit for pauses is longer than it takes to connect. */
const SETTINGS: Record<string, string> = {
  idle_in_transaction_session_timeout: '300',
  idle_session_timeout: '300',
  default_transaction_read_only: 'on',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  search_path: 'evil, pg_catalog',
  quote_all_identifiers: 'on',
  bytea_output: 'escape',
  standard_conforming_strings: 'off',
  row_security: 'off',
  datestyle: `'SQL, DMY'`,
  intervalstyle: 'sql_standard',
  extra_float_digits: '-15',
  client_min_messages: 'debug1',
  session_replication_role: 'replica',
  default_toast_compression: 'lz4',
  xmloption: 'document',
  lo_compat_privileges: 'on',
  work_mem: '64',
  maintenance_work_mem: '1024',
  timezone: `'Pacific/Chatham'`,
  array_nulls: 'off',
  transform_null_equals: 'on',
  enable_hashjoin: 'off',
  session_preload_libraries: 'auto_explain',
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_level': 'notice',
};

const SCHEMA = `
  CREATE TABLE hard (i int PRIMARY KEY CHECK (i = i), price money, list text[], span interval, at timestamptz,
    raw bytea, doc xml, f float8, day date, note text, CONSTRAINT null_check CHECK (note = NULL::text OR true));
  INSERT INTO hard VALUES (1, '-1234.56', ARRAY[NULL, 'NULL', E'a\\\\b'], '-1 year +2 days -03:04:05.6',
    '2026-03-04 05:06:07.123456+00', '\\x00ff5c27', XMLPARSE(CONTENT 'a <b/> c'), 0.1 + 0.2, '2026-03-04', E'\\\\d''é');
  CREATE TABLE "café" (i int PRIMARY KEY REFERENCES hard, big text);
  INSERT INTO "café" VALUES (1, repeat('x', 100000));
  CREATE VIEW seen AS SELECT i, note FROM hard WHERE note = NULL::text OR at > '2026-01-01 00:00:00+00';
  CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)'`;

/**
 * Functions that take the place of PostgreSQL's own where search_path says so. The last one even without, because its
 * types match better: https://www.postgresql.org/support/security/CVE-2018-1058/
 */
const EVIL = `CREATE SCHEMA evil;
  CREATE FUNCTION evil.current_database() RETURNS name LANGUAGE sql AS $$SELECT 'nowhere'::name$$;
  CREATE FUNCTION evil.starts_with(text, text) RETURNS bool LANGUAGE sql AS 'SELECT false';
  CREATE FUNCTION evil.pg_get_userbyid(oid) RETURNS name LANGUAGE sql AS $$SELECT 'nobody'::name$$;
  CREATE FUNCTION public.starts_with(name, text) RETURNS bool LANGUAGE sql AS 'SELECT false'`;

const settingsOf = (whose: string) =>
  Object.entries(SETTINGS).map(([name, value]) => `ALTER ${whose} SET ${name} = ${value}`);

/** A session has none of the limits that only some versions of PostgreSQL have. */
async function assertUnlimited(postgres: Postgres): Promise<void> {
  assert.match(await laterLimits(postgres), /^-c idle_session_timeout=0/);
  const session = openSession(postgres, 'app');
  try {
    const sql = `SELECT current_setting('idle_session_timeout') AS idle`;
    assert.equal(await session.query(sql), [{ idle: '0' }]);
  } finally {
    await session.close();
  }
}

/** Does `body` with these variables in this process's environment. */
async function withEnvironment(variables: Record<string, string>, body: () => Promise<void>): Promise<void> {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    await body();
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

test('no variable, setting of the role or setting of the database changes what the scripts do', () =>
  inTurn(async plain => {
    await plain.sql(SCHEMA);
    await plain.sql(EVIL);
    await plain.sql(EVIL, 'postgres');
    const original = await contentOf(plain);
    await plain.sql(
      [
        `CREATE ROLE operator SUPERUSER LOGIN PASSWORD 'operator'`,
        'CREATE ROLE limited',
        ...settingsOf('ROLE operator'),
        'ALTER ROLE operator SET role = limited',
        'ALTER ROLE operator SET statement_timeout = 1', // of the database, this test’s own pg_dump would mind it
        ...settingsOf('DATABASE app'),
      ].join(';'),
      'postgres',
    );
    const world: World = {
      ...plain,
      env: { ...plain.env, POSTGRES_USER: 'operator', POSTGRES_PASSWORD: 'operator' },
    };
    const hostile = await contentOf(plain);
    try {
      await withEnvironment(ENVIRONMENT, async () => {
        await assertUnlimited(configOf(world, {}).postgres);
        const backup = await makeBackup(world, { format: 'plain', upload: false });
        assert.equal(
          backup.tables.map(({ name, rows }) => [name, rows]),
          [
            ['café', 1],
            ['hard', 1],
          ],
        );
        assert.is(backup.properties.owner, 'postgres');
        const custom = await makeBackup(world, { format: 'custom' });
        const drilled = await runDrill(configOf(world, {}));
        assert.is(drilled.backup, custom.id);

        await plain.sql(`SET transaction_read_only = off; UPDATE public.hard SET note = 'harmed';
          DROP VIEW public.seen`);
        await restoreHere(world, backup.id);
        assert.equal(await contentOf(plain), hostile, 'plain');
        const undone = await restoreHere(world, undefined, { undo: true });
        assert.equal(await plain.rows('SELECT note FROM public.hard'), [{ note: 'harmed' }]);
        assert.equal(await contentOf(plain, undone.kept!), hostile, 'the restored one is kept');
        await restoreHere(world, custom.id, { database: 'copy' });
        assert.equal(await contentOf(plain, 'copy'), original, 'custom');
        assert.equal((await finishHere(world)).dropped, [undone.kept]);
        assert.equal(await databases(plain), ['app', 'copy']);
      });
    } finally {
      await plain.sql('DROP SCHEMA evil CASCADE; DROP FUNCTION starts_with(name, text)', 'postgres');
    }
  }));

test('the servers stop', stop);

test.run();
