/** Settings of roles, databases and the environment that change what a client of PostgreSQL sees. */
import * as assert from 'uvu/assert';
import type { Postgres } from '../../../scripts/lib/config/config.ts';
import { copySettings } from '../../../scripts/lib/postgres/server.ts';
import { openSession } from '../../../scripts/lib/postgres/session.ts';
import type { World } from '../core/world.ts';
import { type Content, contentOf as wholeContentOf } from './compare.ts';

/** All of a database's content but whose it is. */
export async function contentOf(world: World, database?: string) {
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

/** Settings of the role and the database. A limit for pauses is longer than it takes to connect, on a busy machine too. */
const SETTINGS: Record<string, string> = {
  idle_in_transaction_session_timeout: '3000',
  idle_session_timeout: '3000',
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

/** What only the sessions of the user get: of the database, this test’s own pg_dump would mind it. */
const OF_USER = { statement_timeout: '1', lock_timeout: '1', role: 'limited' };

/** What a session has instead: limits that only some versions of PostgreSQL have, and all that changes what it does. */
const OWN = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  client_min_messages: 'warning',
  role: 'none',
  quote_all_identifiers: 'off',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
};

/** A session has the scripts' own settings. */
export async function assertUnlimited(postgres: Postgres): Promise<void> {
  assert.match(
    (await copySettings(postgres)).quiet,
    /^-c idle_session_timeout=0 -c session_replication_role=replica$/,
  );
  const session = openSession(postgres, 'app');
  try {
    const values = Object.keys(OWN).map(name => `current_setting('${name}') AS ${name}`);
    assert.equal(await session.query(`SELECT ${values.join(', ')}`), [OWN]);
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

export interface Hostile {
  /** Of a user without hostile settings. */
  plain: World;
  /** Of the user that the scripts connect as. */
  world: World;
  /** The live database's content, and the same after its settings have changed. */
  original: Omit<Content, 'rights'>;
  hostile: Omit<Content, 'rights'>;
}

/** Does `work` with every hostile setting. */
export async function underHostileSettings(
  plain: World,
  work: (hostile: Hostile) => Promise<void>,
): Promise<void> {
  await plain.sql(SCHEMA);
  await plain.sql(EVIL);
  await plain.sql(EVIL, 'postgres');
  const original = await contentOf(plain);
  await plain.sql(
    [
      `CREATE ROLE operator SUPERUSER LOGIN PASSWORD 'operator'`,
      'CREATE ROLE limited',
      ...settingsOf('ROLE operator'),
      ...Object.entries(OF_USER).map(([name, value]) => `ALTER ROLE operator SET ${name} = ${value}`),
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
      await work({ plain, world, original, hostile });
    });
  } finally {
    await plain.sql('DROP SCHEMA evil CASCADE; DROP FUNCTION starts_with(name, text)', 'postgres');
  }
}
