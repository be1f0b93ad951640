import * as v from 'valibot';
import type { Query } from './query.ts';

const text = v.pipe(v.string(), v.regex(/^[^\0]*$/));

/**
 * For what a dump names a role: `owner` of an object; `defaults`: of ALTER DEFAULT PRIVILEGES; `grantor` of privileges
 * on what another role owns; `privilege`: who has them; `policy` and `mapping`: whom a row security policy or a user
 * mapping is for.
 */
const USES = ['owner', 'defaults', 'grantor', 'privilege', 'policy', 'mapping'] as const;

/** What a dump needs of the server into which it is loaded. */
export const needsSchema = v.object({
  roles: v.array(
    v.object({
      name: text,
      uses: v.array(v.picklist(USES)),
      /** Schemas in which it owns something and may create nothing: only a superuser can give it that. */
      cannotCreateIn: v.array(text),
    }),
  ),
  tablespaces: v.array(text),
  /** Collations of pg_catalog that columns, domains, indexes or types name. */
  collations: v.array(text),
  publications: v.array(text),
  /** Objects that only a superuser may create, as `event trigger noted`. */
  superuser: v.array(text),
});

export type Needs = v.InferOutput<typeof needsSchema>;

/** Catalogs of what has an owner: the prefix of their columns, their column of the schema and of the privileges. */
const OWNED: [catalog: string, prefix: string, schema?: 'namespace', acl?: 'acl'][] = [
  ['pg_class', 'rel', 'namespace', 'acl'],
  ['pg_proc', 'pro', 'namespace', 'acl'],
  ['pg_type', 'typ', 'namespace', 'acl'],
  ['pg_operator', 'opr', 'namespace'],
  ['pg_opclass', 'opc', 'namespace'],
  ['pg_opfamily', 'opf', 'namespace'],
  ['pg_collation', 'coll', 'namespace'],
  ['pg_conversion', 'con', 'namespace'],
  ['pg_statistic_ext', 'stx', 'namespace'],
  ['pg_ts_config', 'cfg', 'namespace'],
  ['pg_ts_dict', 'dict', 'namespace'],
  ['pg_namespace', 'nsp', undefined, 'acl'],
  ['pg_foreign_data_wrapper', 'fdw', undefined, 'acl'],
  ['pg_foreign_server', 'srv', undefined, 'acl'],
  ['pg_language', 'lan', undefined, 'acl'],
  ['pg_largeobject_metadata', 'lom', undefined, 'acl'],
  ['pg_event_trigger', 'evt'],
  ['pg_publication', 'pub'],
];

/** Objects of initdb have smaller numbers: FirstNormalObjectId of PostgreSQL's src/include/access/transam.h. */
const OURS = 16_384;

const objects = OWNED.map(
  ([catalog, prefix, schema, acl]) => `
  SELECT '${catalog}'::regclass AS class, oid, 0 AS column, ${prefix}owner AS owner,
    ${schema ? `${prefix}namespace` : 'NULL::oid'} AS namespace, ${acl ? `${prefix}acl` : 'NULL::aclitem[]'} AS acl
  FROM ${catalog}`,
);

/* Without what belongs to an extension, whose owner a dump does not name; only its changed privileges count. */
const COMMON = `
  object AS (${objects.join(' UNION ALL ')} UNION ALL
    SELECT 'pg_class'::regclass, c.oid, attnum, relowner, relnamespace, attacl
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attacl IS NOT NULL),
  own AS (SELECT * FROM object o WHERE (oid >= ${OURS} OR class = 'pg_namespace'::regclass AND oid = 'public'::regnamespace)
    AND namespace IS DISTINCT FROM 'pg_toast'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend d
      WHERE d.classid = class AND d.objid = o.oid AND d.deptype IN ('e', 'i'))),
  changed AS (SELECT o.owner, a.* FROM object o
    LEFT JOIN pg_init_privs i ON i.classoid = class AND i.objoid = oid AND i.objsubid = "column", aclexplode(acl) AS a
    WHERE acl IS DISTINCT FROM initprivs)`;

const ROLES = `
  SELECT owner AS role, 'owner' AS use FROM own
  UNION SELECT defaclrole, 'defaults' FROM pg_default_acl
  UNION SELECT grantee, 'privilege' FROM pg_default_acl, aclexplode(defaclacl)
  UNION SELECT grantee, 'privilege' FROM changed WHERE grantee <> owner
  UNION SELECT grantor, 'grantor' FROM changed WHERE grantor <> owner
  UNION SELECT unnest(polroles), 'policy' FROM pg_policy
  UNION SELECT umuser, 'mapping' FROM pg_user_mappings`;

const ONLY_SUPERUSER = `
  SELECT 'event trigger ' || quote_ident(evtname) AS name FROM own JOIN pg_event_trigger e USING (oid)
    WHERE class = 'pg_event_trigger'::regclass
  UNION SELECT 'publication ' || quote_ident(pubname) || ' (of all tables, or of schemas)' FROM pg_publication p
    WHERE puballtables OR EXISTS (SELECT FROM pg_depend WHERE classid = to_regclass('pg_publication_namespace')
      AND refclassid = 'pg_publication'::regclass AND refobjid = p.oid)
  UNION SELECT 'subscription ' || quote_ident(subname) FROM pg_subscription
    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION SELECT 'foreign data wrapper ' || quote_ident(fdwname) FROM own JOIN pg_foreign_data_wrapper USING (oid)
    WHERE class = 'pg_foreign_data_wrapper'::regclass
  UNION SELECT 'function ' || p.oid::regprocedure || ' in ' || lanname FROM own JOIN pg_proc p ON p.oid = own.oid
    JOIN pg_language l ON l.oid = prolang WHERE class = 'pg_proc'::regclass AND (NOT lanpltrusted OR proleakproof)`;

/* Without PUBLIC and the predefined roles, which each server has; 10 is the superuser of initdb. */
const SQL = `WITH ${COMMON}
  SELECT
    (SELECT coalesce(json_agg(json_build_object('name', pg_get_userbyid(role), 'uses', uses, 'cannotCreateIn', schemas)
        ORDER BY pg_get_userbyid(role) COLLATE "C"), '[]')
      FROM (SELECT role, array_agg(use ORDER BY use) AS uses, ARRAY(SELECT DISTINCT nspname::text COLLATE "C"
          FROM own JOIN pg_namespace n ON n.oid = namespace
          WHERE owner = role AND NOT pg_has_role(role, nspowner, 'USAGE') ORDER BY 1) AS schemas
        FROM (${ROLES}) AS r WHERE role >= ${OURS} OR role = 10 GROUP BY role) AS r) AS roles,
    ARRAY(SELECT spcname FROM pg_tablespace t
      WHERE t.oid IN (SELECT reltablespace FROM pg_class) AND t.oid >= ${OURS} ORDER BY spcname) AS tablespaces,
    ARRAY(SELECT DISTINCT collname::text COLLATE "C" FROM pg_depend d JOIN pg_collation c ON c.oid = refobjid
      WHERE refclassid = 'pg_collation'::regclass AND classid <> 'pg_collation'::regclass
        AND collnamespace = 'pg_catalog'::regnamespace ORDER BY 1) AS collations,
    ARRAY(SELECT pubname FROM pg_publication ORDER BY pubname) AS publications,
    ARRAY(SELECT name FROM (${ONLY_SUPERUSER}) AS s ORDER BY name) AS superuser`;

/** @returns what a dump of the snapshot of `query` needs */
export async function readNeeds(query: Query): Promise<Needs> {
  const [needs] = await query<Needs>(SQL);
  return needs!;
}
