/** What one role owns in a database and another is to own: the schemas and what is in them, large objects, publications. */
import { literal } from './client.ts';

/** Not an extension's, and not a part of another object, which follows that one. */
const alone = (catalog: string, oid = 'o.oid') => `NOT EXISTS (SELECT FROM pg_depend d
  WHERE d.classid = '${catalog}'::regclass AND d.objid = ${oid} AND d.deptype IN ('e', 'i'))`;

/** The application's schemas; not PostgreSQL's, nor those of temporary tables. */
const SCHEMAS = `s AS (SELECT oid, nspname, quote_ident(nspname) AS name FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')`;

const inSchema = (
  catalog: string,
  prefix: string,
  statement: string,
  {
    name = `s.name || '.' || quote_ident(o.${prefix}name)`,
    namespace = `${prefix}namespace`,
    where = 'true',
  } = {},
) => `SELECT ${statement} AS kind, ${name} AS name, o.${prefix}owner AS owner
  FROM ${catalog} o JOIN s ON s.oid = o.${namespace} WHERE ${alone(catalog)} AND ${where}`;

/** A sequence of a column goes with its table. */
const OF_COLUMN = `EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = o.oid
  AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype = 'a')`;

/*
 * `kind` as in ALTER … OWNER TO. Not among them: what only a superuser makes (operator classes, foreign data wrappers and
 * servers, languages, event triggers), and the functions of event triggers, which run with the rights of whoever runs a
 * command: their owner would become a superuser with the next one.
 */
const OBJECTS = [
  `SELECT 'SCHEMA' AS kind, s.name, CASE WHEN n.nspowner = 'pg_database_owner'::regrole
      THEN (SELECT datdba FROM pg_database WHERE datname = current_database()) ELSE n.nspowner END AS owner
    FROM s JOIN pg_namespace n ON n.oid = s.oid WHERE ${alone('pg_namespace', 's.oid')}`,
  inSchema(
    'pg_class',
    'rel',
    `CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
    WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END`,
    {
      name: 'o.oid::regclass::text',
      where: `relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT (relkind = 'S' AND ${OF_COLUMN})`,
    },
  ),
  inSchema('pg_type', 'typ', `CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END`, {
    name: 'o.oid::regtype::text',
    where: `typisdefined AND (typtype IN ('b', 'd', 'e', 'r') AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = o.oid)
      OR EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND relkind = 'c'))`,
  }),
  inSchema('pg_proc', 'pro', `'ROUTINE'`, {
    name: 'o.oid::regprocedure::text',
    where: 'NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtfoid = o.oid)',
  }),
  inSchema('pg_operator', 'opr', `'OPERATOR'`, { name: 'o.oid::regoperator::text', where: 'oprcode <> 0' }),
  inSchema('pg_collation', 'coll', `'COLLATION'`),
  inSchema('pg_conversion', 'con', `'CONVERSION'`),
  inSchema('pg_statistic_ext', 'stx', `'STATISTICS'`),
  inSchema('pg_ts_config', 'cfg', `'TEXT SEARCH CONFIGURATION'`),
  inSchema('pg_ts_dict', 'dict', `'TEXT SEARCH DICTIONARY'`),
  `SELECT 'PUBLICATION', quote_ident(pubname), pubowner FROM pg_publication o WHERE ${alone('pg_publication')} AND NOT puballtables
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = to_regclass('pg_catalog.pg_publication_namespace')
      AND d.refclassid = 'pg_publication'::regclass AND d.refobjid = o.oid)`,
  `SELECT 'LARGE OBJECT', o.oid::text, lomowner FROM pg_largeobject_metadata o`,
];

const ALL = `WITH ${SCHEMAS}, owned AS (${OBJECTS.join(' UNION ALL ')})`;

/** One object that gets another owner. */
export interface Owned {
  /** As in `ALTER <kind> <name> OWNER TO`. */
  kind: string;
  /** Quoted, with its schema. */
  name: string;
}

/** @returns a query of what the current user owns of these, as {@link Owned}: schemas first */
export const OWNED_BY_ME = `${ALL} SELECT kind, name FROM owned
  WHERE owner = (SELECT oid FROM pg_roles WHERE rolname = current_user) ORDER BY kind <> 'SCHEMA', kind, name`;

/**
 * @param application the role that is to own the rest
 * @returns a query of what roles other than it and the current user own: `owner`, `count`, one `example`
 */
export const ownedByOthers = (application: string) => `${ALL}
  SELECT pg_get_userbyid(owner) AS owner, count(*)::int AS count, min(lower(kind) || ' ' || name) AS example FROM owned
  WHERE pg_get_userbyid(owner) NOT IN (current_user, ${literal(application)}) GROUP BY owner ORDER BY owner`;

/**
 * @param role that has now to create what the current user created so far
 * @returns a query of statements, `sql`, that give it the current user's default privileges, where it has none of that kind
 */
export const defaultPrivilegesFor = (role: string) => `
  WITH mine AS (SELECT d.*, format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s ', ${literal(role)}, ' IN SCHEMA ' || quote_ident(nspname)) AS start,
      CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END AS what
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = defaclnamespace
    WHERE defaclrole = current_user::regrole AND NOT EXISTS (SELECT FROM pg_default_acl h
      WHERE pg_get_userbyid(h.defaclrole) = ${literal(role)} AND h.defaclnamespace = d.defaclnamespace AND h.defaclobjtype = d.defaclobjtype))
  SELECT coalesce(start, '') || 'REVOKE ALL ON ' || what || ' FROM PUBLIC' AS sql FROM mine
    WHERE defaclnamespace = 0 AND defaclobjtype IN ('f', 'T') AND NOT EXISTS (SELECT FROM aclexplode(defaclacl) WHERE grantee = 0)
  UNION ALL SELECT start || 'GRANT ' || string_agg(privilege_type, ', ') || ' ON ' || what || ' TO ' ||
      CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    FROM mine, aclexplode(defaclacl)
    WHERE grantee <> defaclrole AND NOT (grantee = 0 AND defaclnamespace = 0 AND defaclobjtype IN ('f', 'T')) AND pg_get_userbyid(grantee) <> ${literal(role)}
    GROUP BY start, what, grantee, is_grantable`;
