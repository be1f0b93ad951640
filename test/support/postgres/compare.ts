import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { asJson, literal, toDatabase } from '../../../scripts/lib/postgres/client.ts';
import { fingerprint } from '../../../scripts/lib/postgres/row-counts.ts';
import type { World } from '../core/world.ts';

const start = promisify(execFile);

/** @returns what a client program of PostgreSQL prints on stdout */
export async function program(world: World, name: string, ...args: string[]): Promise<string> {
  const { POSTGRES_USER, POSTGRES_PASSWORD, ...env } = world.env;
  const { stdout } = await start(name, args, {
    env: { ...env, PGUSER: POSTGRES_USER, PGPASSWORD: POSTGRES_PASSWORD },
    maxBuffer: 1 << 30,
  });
  return stdout;
}

/** Everything that is in a database, in a form that two equal databases have in common. */
export interface Content {
  /** pg_dump's whole output but owners and privileges, without the random words of \restrict. */
  dump: string;
  /** Rows and a hash of each table. */
  tables: unknown;
  largeObjects: unknown;
  rights: Rights;
}

/** Whose everything is, and who may do what with it. */
export interface Rights {
  /** Null: the default privileges. */
  objects: { type: string; identity: string; owner: string; acl: string[] | null }[];
  /** `ALTER DEFAULT PRIVILEGES` */
  defaults: { role: string; schema: string | null; type: string; acl: string[] }[];
}

export async function contentOf(world: World, database = world.database): Promise<Content> {
  const dump = await program(world, 'pg_dump', '--no-owner', '--no-acl', `--dbname=${toDatabase(database)}`);
  return {
    dump: dump.replaceAll(/^\\(un)?restrict .*$/gm, ''),
    tables: await fingerprint(sql => world.rows(sql, database)),
    ...(await beside(world, database)),
  };
}

/** @returns the {@link Content.rights} alone */
export async function rightsOf(world: World, database = world.database): Promise<Rights> {
  return (await beside(world, database)).rights;
}

/** The catalogs of what has an owner: the prefix of their columns, whether they have privileges, and which rows. */
const OWNED: [catalog: string, prefix: string, acl: boolean, where: string][] = [
  ['pg_class', 'rel', true, `relkind IN ('r', 'p', 'v', 'm', 'S', 'f')`],
  ['pg_namespace', 'nsp', true, 'true'],
  ['pg_proc', 'pro', true, 'true'],
  ['pg_type', 'typ', true, `typtype IN ('d', 'e', 'r')`],
  ['pg_type', 'typ', true, `typrelid IN (SELECT oid FROM pg_class WHERE relkind = 'c')`],
  ['pg_foreign_server', 'srv', true, 'true'],
  ['pg_largeobject_metadata', 'lom', true, 'true'],
  ['pg_extension', 'ext', false, 'true'],
  ['pg_publication', 'pub', false, 'true'],
  ['pg_event_trigger', 'evt', false, 'true'],
  ['pg_collation', 'coll', false, 'true'],
  ['pg_operator', 'opr', false, 'true'],
  ['pg_ts_config', 'cfg', false, 'true'],
  ['pg_statistic_ext', 'stx', false, 'true'],
];

const sorted = (acl: string) =>
  `(SELECT array_agg(a::text ORDER BY a::text COLLATE "C") FROM unnest(${acl}) AS a)`;

/** The large objects, and the rights on all that a database has of its own and on schema public: in one query. */
async function beside(world: World, database: string): Promise<Pick<Content, 'largeObjects' | 'rights'>> {
  const owned = OWNED.map(([catalog, prefix, acl, where]) => {
    const classid = catalog === 'pg_largeobject_metadata' ? 'pg_largeobject' : catalog;
    return `SELECT '${classid}'::regclass AS classid, oid AS objid, 0 AS subid, ${prefix}owner AS owner,
      ${acl ? `${prefix}acl` : 'NULL::aclitem[]'} AS acl FROM ${catalog} WHERE oid >= 16384 AND ${where}`;
  });
  const columns = `SELECT 'pg_class'::regclass, c.oid, attnum, relowner, attacl
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attacl IS NOT NULL AND c.oid >= 16384`;
  const schema = `SELECT 'pg_namespace'::regclass, oid, 0, nspowner, nspacl
    FROM pg_namespace WHERE nspname = 'public' AND oid < 16384`;
  const objects = `SELECT i.type, i.identity, pg_get_userbyid(owner) AS owner, ${sorted('acl')} AS acl
    FROM (${[...owned, columns, schema].join(' UNION ALL ')}) AS o,
      pg_identify_object(classid, objid, subid) AS i
    WHERE NOT EXISTS (SELECT FROM pg_depend d
      WHERE d.classid = o.classid AND d.objid = o.objid AND deptype = 'e')
    ORDER BY i.type, i.identity COLLATE "C"`;
  const defaults = `SELECT pg_get_userbyid(defaclrole) AS role, nspname AS schema, defaclobjtype AS type,
      ${sorted('defaclacl')} AS acl
    FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace ORDER BY 1, 2, 3`;
  const largeObjects = 'SELECT oid::int8, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY oid';
  const all = (sql: string) => `(${asJson(sql)})`;
  const [row] = await world.rows<Content['rights'] & { largeObjects: unknown }>(
    `SELECT ${all(objects)} AS objects, ${all(defaults)} AS defaults, ${all(largeObjects)} AS "largeObjects"`,
    database,
  );
  const { largeObjects: found, ...rights } = row!;
  return { largeObjects: found, rights };
}

/** What a database is beside its content: owner, encoding, locale, limit, comment, privileges, settings. */
export async function propertiesOf(world: World, database = world.database): Promise<unknown> {
  const [properties] = await world.rows(
    `SELECT pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding, datlocprovider, datcollate,
       datctype, coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale') AS locale, datconnlimit, datallowconn, shobj_description(d.oid, 'pg_database') AS comment,
       (SELECT array_agg(acl::text ORDER BY acl::text) FROM unnest(datacl) AS acl) AS acl,
       (SELECT json_object_agg(coalesce(rolname, '(all)'), setconfig ORDER BY rolname)
        FROM pg_db_role_setting LEFT JOIN pg_roles r ON r.oid = setrole WHERE setdatabase = d.oid) AS settings
     FROM pg_database AS d WHERE datname = ${literal(database)}`,
    'postgres',
  );
  return properties;
}

/** @returns the names of all databases of the server but its own */
export async function databases(world: World): Promise<string[]> {
  const rows = await world.rows<{ name: string }>(
    `SELECT datname AS name FROM pg_database
     WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY datname COLLATE "C"`,
    'postgres',
  );
  return rows.map(({ name }) => name);
}
