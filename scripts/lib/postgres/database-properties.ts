import * as v from 'valibot';
import type { Postgres } from '../config/config.ts';
import { identifier, literal, runSql } from './client.ts';
import { maintenanceOf } from './databases.ts';
import type { Query } from './query.ts';

/** Text that comes from a manifest and goes into a statement. */
const text = v.pipe(v.string(), v.regex(/^[^\0]*$/));

/** `work_mem`, `app.current_user`: words that dots join. PostgreSQL 14 and older allow more in a word than 15 does. */
const settingName = v.pipe(v.string(), v.regex(/^[\p{L}\p{N}_$-]+(\.[\p{L}\p{N}_$-]+)*$/u));

/** What belongs to a database but not to its content: pg_dump writes it only with --create. */
export const propertiesSchema = v.object({
  owner: text,
  /** -1: none. */
  connectionLimit: v.pipe(v.number(), v.safeInteger()),
  comment: v.nullable(text),
  /** `ALTER DATABASE … SET`; with a role: `ALTER ROLE … IN DATABASE … SET`. */
  settings: v.array(v.object({ role: v.nullable(text), name: settingName, value: text })),
  /** Null: PostgreSQL's default. A role of null is PUBLIC. */
  privileges: v.nullable(
    v.array(
      v.object({
        role: v.nullable(text),
        privilege: v.picklist(['CREATE', 'CONNECT', 'TEMPORARY']),
        grantable: v.boolean(),
        /** Who granted it; null or, in older manifests, missing: the owner. */
        grantor: v.optional(v.nullable(text)),
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
          'privilege', privilege_type, 'grantable', is_grantable,
          'grantor', CASE WHEN grantor <> datdba THEN pg_get_userbyid(grantor) END)), '[]')
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

/** Items as the catalog has them: names, quoted where they need it, between commas. */
const ITEM = /\s*(?:"((?:[^"]|"")*)"|([^\s",][^",]*?))\s*(?:,|$)/gy;

function settingValue(name: string, value: string): string {
  if (!LISTS.has(name)) return literal(value);
  const items = [...value.matchAll(ITEM)].map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare!);
  return (items.length > 0 ? items : ['']).map(literal).join(', ');
}

type Privilege = NonNullable<Properties['privileges']>[number];

/** Each after the one that lets its grantor grant it. */
function inOrder(privileges: Privilege[]): Privilege[] {
  const ordered = privileges.filter(({ grantor }) => grantor == null);
  let rest = privileges.filter(({ grantor }) => grantor != null);
  const isGrantable = ({ grantor, privilege }: Privilege) =>
    ordered.some(earlier => earlier.role === grantor && earlier.privilege === privilege && earlier.grantable);
  while (rest.some(isGrantable)) {
    ordered.push(...rest.filter(isGrantable));
    rest = rest.filter(each => !ordered.includes(each));
  }
  return [...ordered, ...rest];
}

/** @returns the statements that give a new database these properties */
export function propertyStatements(
  database: string,
  { owner, connectionLimit, comment, settings, ...properties }: Properties,
  withoutOwners = false,
): string[] {
  const privileges = withoutOwners ? null : properties.privileges;
  const name = identifier(database);
  return [
    ...(withoutOwners ? [] : [`ALTER DATABASE ${name} OWNER TO ${identifier(owner)}`]),
    `ALTER DATABASE ${name} CONNECTION LIMIT ${connectionLimit}`,
    `COMMENT ON DATABASE ${name} IS ${comment === null ? 'NULL' : literal(comment)}`,
    ...settings.map(({ role, name: setting, value }) => {
      const whose = role === null ? `DATABASE ${name}` : `ROLE ${identifier(role)} IN DATABASE ${name}`;
      const quoted = setting.split('.').map(identifier).join('.'); // a word of it may be a reserved one
      return `ALTER ${whose} SET ${quoted} TO ${settingValue(setting, value)}`;
    }),
    ...(privileges ? [`REVOKE ALL ON DATABASE ${name} FROM PUBLIC, ${identifier(owner)}`] : []),
    ...inOrder(privileges ?? []).flatMap(({ role, privilege, grantable, grantor }) => {
      const to = role === null ? 'PUBLIC' : identifier(role);
      const grant = `GRANT ${privilege} ON DATABASE ${name} TO ${to}${grantable ? ' WITH GRANT OPTION' : ''}`;
      return grantor == null ? [grant] : [`SET ROLE ${identifier(grantor)}`, grant, 'RESET ROLE'];
    }),
  ];
}

/**
 * Gives a new database these properties, in one transaction.
 * @param withoutOwners leave out its owner and privileges
 * @throws CommandError
 */
export async function applyProperties(
  postgres: Postgres,
  database: string,
  properties: Properties,
  withoutOwners = false,
): Promise<void> {
  const statements = propertyStatements(database, properties, withoutOwners);
  await runSql(postgres, maintenanceOf(postgres), statements.join(';\n'), {
    purpose: `give ${database} its owner, settings and privileges`,
    timeout: 60,
  });
}
