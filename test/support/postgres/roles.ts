/** The roles of the application and of backups, and what they must not be able to do. */
import * as assert from 'uvu/assert';
import { changeRoles } from '../../../scripts/lib/postgres/change-roles.ts';
import { configOf } from '../backup/old-backups.ts';
import { captured } from '../core/here.ts';
import type { World } from '../core/world.ts';
import { ask } from './ask.ts';
import { type Content, program } from './compare.ts';
import { HARD_SCHEMA } from './fidelity.ts';

export const ENV: Record<string, string> = {
  APP_NAME: 'test-app',
  APP_DB_PASSWORD: 'password-of-the-application',
  BACKUP_DB_PASSWORD: 'password-of-the-backups',
};
export const APP = 'test_app';
export const BACKUP = 'backup';

/** Runs statements as one of the two roles. */
export function as(
  world: World,
  role: typeof APP | typeof BACKUP,
  sql: string,
  database = world.database,
): Promise<string> {
  const password = ENV[role === APP ? 'APP_DB_PASSWORD' : 'BACKUP_DB_PASSWORD'];
  return ask({ ...world.pg.postgres, user: role, password }, database, sql);
}

/** What only matters to a change of owners. */
const MORE = `
  CREATE FUNCTION as_superuser() RETURNS name SECURITY DEFINER LANGUAGE sql AS 'SELECT current_user';
  CREATE SEQUENCE alone; CREATE CONVERSION latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
  CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple); CREATE OPERATOR !! (RIGHTARG = int4, FUNCTION = int4um);
  CREATE AGGREGATE middle(float8 ORDER BY anyelement)
    (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
  CREATE FUNCTION any_of(VARIADIC ints int[], OUT n int, OUT t text) LANGUAGE sql AS $$ SELECT 1, '' $$;
  CREATE TABLE forced (i int); ALTER TABLE forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE TABLE "we:ird ""; DROP" (":'x'" serial, y int GENERATED ALWAYS AS IDENTITY);
  ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
  ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO writer WITH GRANT OPTION`;

export async function loadHardSchema(world: World): Promise<void> {
  const options = ['-qX', '-vON_ERROR_STOP=1', '-o/dev/null', `-d${world.database}`];
  await program(world, 'psql', ...options, `-f${HARD_SCHEMA}`);
  await world.sql(MORE);
}

/** Asserts that each statement is refused with its message. */
export async function refusals(
  world: World,
  role: typeof APP | typeof BACKUP,
  statements: [sql: string, message: RegExp][],
): Promise<void> {
  for (const [sql, message] of statements) {
    const error = await as(world, role, sql).then(
      () => new Error('it is not refused'),
      (thrown: Error) => thrown,
    );
    assert.match(error.message, message, `${sql}: ${error.message}`);
  }
}

/** @returns what the superuser still owns in the application's schemas, but for extensions' */
export async function ownersLeft(world: World, database = world.database): Promise<string[]> {
  const rows = await world.rows<{ name: string }>(
    `SELECT i.type || ' ' || CASE WHEN i.schema = 'public' THEN replace(i.identity, 'public.', '') ELSE i.identity END AS name
     FROM (SELECT 'pg_class'::regclass::oid AS class, oid, relowner AS owner, relnamespace AS ns FROM pg_class
       UNION ALL SELECT 'pg_proc'::regclass, oid, proowner, pronamespace FROM pg_proc
       UNION ALL SELECT 'pg_type'::regclass, oid, typowner, typnamespace FROM pg_type WHERE typisdefined
       UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner, oprnamespace FROM pg_operator
       UNION ALL SELECT 'pg_collation'::regclass, oid, collowner, collnamespace FROM pg_collation
       UNION ALL SELECT 'pg_conversion'::regclass, oid, conowner, connamespace FROM pg_conversion
       UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxowner, stxnamespace FROM pg_statistic_ext
       UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgowner, cfgnamespace FROM pg_ts_config
       UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictowner, dictnamespace FROM pg_ts_dict
       UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner, oid FROM pg_namespace
       UNION ALL SELECT 'pg_largeobject'::regclass, oid, lomowner, 2200 FROM pg_largeobject_metadata) AS o
       JOIN pg_namespace n ON n.oid = ns, pg_identify_object(class, o.oid, 0) AS i
     WHERE owner IN ('postgres'::regrole, 'pg_database_owner'::regrole) AND nspname !~ '^pg_' AND nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = class AND d.objid = o.oid AND d.deptype IN ('e', 'i'))
       AND i.type NOT IN ('index') AND NOT EXISTS (SELECT FROM pg_type t WHERE t.typarray = o.oid AND class = 'pg_type'::regclass)
     ORDER BY 1`,
    database,
  );
  return rows.map(({ name }) => name);
}

/** Without owners, and with the lines in an order of their own: pg_dump writes schema public only where it has another owner. */
export const contentAlone = ({ dump, tables, largeObjects }: Content) => ({
  dump: dump
    .split('\n')
    .filter(line => line !== '' && !/^--|SCHEMA public/.test(line))
    .sort(),
  tables,
  largeObjects,
});

/** The same as the script does, in this process. */
export async function giveRolesHere(world: World): Promise<void> {
  await captured(() => changeRoles(configOf(world, ENV), { yes: true })).then(({ error }) =>
    assert.is(error, ''),
  );
}
