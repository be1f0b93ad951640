import * as v from 'valibot';
import type { Postgres } from '../config/config.ts';
import { identifier, literal, type Query, runSql } from './client.ts';
import { maintenanceOf } from './databases.ts';

/** What belongs to a database but not to its content: pg_dump writes it only with --create. */
export const propertiesSchema = v.object({
  owner: v.string(),
  /** -1: none. */
  connectionLimit: v.pipe(v.number(), v.safeInteger()),
  comment: v.nullable(v.string()),
  /** `ALTER DATABASE … SET`; with a role: `ALTER ROLE … IN DATABASE … SET`. */
  settings: v.array(v.object({ role: v.nullable(v.string()), name: v.string(), value: v.string() })),
  /** Null: PostgreSQL's default. A role of null is PUBLIC. */
  privileges: v.nullable(
    v.array(
      v.object({
        role: v.nullable(v.string()),
        privilege: v.picklist(['CREATE', 'CONNECT', 'TEMPORARY']),
        grantable: v.boolean(),
      }),
    ),
  ),
});

export type Properties = v.InferOutput<typeof propertiesSchema>;

/** @returns the properties of an existing database */
export async function readProperties(query: Query, database: string): Promise<Properties> {
  const [properties] = await query<Properties>(`
    SELECT pg_get_userbyid(datdba) AS owner, datconnlimit AS "connectionLimit",
      shobj_description(d.oid, 'pg_database') AS comment,
      (SELECT coalesce(json_agg(json_build_object(
          'role', CASE WHEN setrole <> 0 THEN pg_get_userbyid(setrole) END,
          'name', split_part(setting, '=', 1), 'value', substr(setting, strpos(setting, '=') + 1))), '[]')
        FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setdatabase = d.oid) AS settings,
      CASE WHEN datacl IS NOT NULL THEN (SELECT coalesce(json_agg(json_build_object(
          'role', CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END,
          'privilege', privilege_type, 'grantable', is_grantable)), '[]')
        FROM aclexplode(datacl)) END AS privileges
    FROM pg_database d WHERE datname = ${literal(database)}`);
  return properties!;
}

/*
 * Settings whose value is a list of identifiers, already quoted in the catalog: quoted as a whole, it would become
 * one name. They are the GUC_LIST_QUOTE variables of PostgreSQL's src/backend/utils/misc/guc_tables.c.
 */
const LISTS = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

function settingValue(name: string, value: string): string {
  if (!LISTS.has(name)) return literal(value);
  return value === '' || value === '""' ? "''" : value;
}

/** @returns the statements that give a new database these properties */
function propertyStatements(database: string, properties: Properties): string[] {
  const { owner, connectionLimit, comment, settings, privileges } = properties;
  const name = identifier(database);
  return [
    `ALTER DATABASE ${name} OWNER TO ${identifier(owner)}`,
    `ALTER DATABASE ${name} CONNECTION LIMIT ${connectionLimit}`,
    `COMMENT ON DATABASE ${name} IS ${comment === null ? 'NULL' : literal(comment)}`,
    ...settings.map(({ role, name: setting, value }) => {
      const whose = role === null ? `DATABASE ${name}` : `ROLE ${identifier(role)} IN DATABASE ${name}`;
      return `ALTER ${whose} SET ${setting} TO ${settingValue(setting, value)}`;
    }),
    ...(privileges ? [`REVOKE ALL ON DATABASE ${name} FROM PUBLIC, ${identifier(owner)}`] : []),
    ...(privileges ?? []).map(({ role, privilege, grantable }) => {
      const to = role === null ? 'PUBLIC' : identifier(role);
      return `GRANT ${privilege} ON DATABASE ${name} TO ${to}${grantable ? ' WITH GRANT OPTION' : ''}`;
    }),
  ];
}

/** Gives a new database these properties, in one transaction. @throws CommandError */
export async function applyProperties(
  postgres: Postgres,
  database: string,
  properties: Properties,
): Promise<void> {
  await runSql(postgres, maintenanceOf(postgres), propertyStatements(database, properties).join(';\n'), {
    purpose: `give ${database} its owner, settings and privileges`,
  });
}
