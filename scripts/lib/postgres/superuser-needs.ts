/**
 * What a dump holds that only a superuser may create or change, whoever owned it: PostgreSQL's page of each CREATE command.
 */

/** Catalogs and which of their rows, as `t`. */
const OBJECTS: [catalog: string, which: string][] = [
  ['pg_event_trigger', 'true'],
  ['pg_foreign_data_wrapper', 'true'],
  ['pg_language', 'true'],
  ['pg_am', 'true'],
  ['pg_opclass', 'true'],
  ['pg_opfamily', 'true'],
  ['pg_ts_parser', 'true'],
  ['pg_ts_template', 'true'],
  ['pg_cast', `castmethod = 'b'`],
  ['pg_type', `typtype IN ('b', 'p') AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)`],
];

/** Settings that only a superuser may set, or whom one has allowed it. One that no module has defined yet is such, too. */
const isSuperusers = (setting: string, major: number) => `(${setting} NOT LIKE 'plpgsql.%'
  AND NOT EXISTS (SELECT FROM pg_settings WHERE name = ${setting} AND context = 'user')
  AND ${major < 15 ? `${setting} NOT LIKE '%.%'` : `NOT EXISTS (SELECT FROM pg_parameter_acl WHERE parname = lower(${setting}))`})`;

const functions = (major: number): [what: string, which: string][] => [
  [
    `'function ' || t.oid::regprocedure || ' in ' || lanname`,
    `prokind <> 'a' AND (NOT lanpltrusted OR proleakproof)`,
  ],
  [`'function ' || t.oid::regprocedure || ' with a support function'`, 'prosupport <> 0'],
  [
    `'function ' || t.oid::regprocedure || ' with its settings'`,
    `EXISTS (SELECT FROM unnest(proconfig) AS s, split_part(s, '=', 1) AS setting_name WHERE ${isSuperusers('setting_name', major)})`,
  ],
  [
    `'aggregate ' || t.oid::regprocedure || ' with an internal state'`,
    `EXISTS (SELECT FROM pg_aggregate WHERE aggfnoid = t.oid AND 'internal'::regtype IN (aggtranstype, aggmtranstype))`,
  ],
];

/**
 * @param first the smallest number of an object that is not PostgreSQL's own
 * @param major of the server
 * @returns a query of names; it uses the relation `object` of needs.ts
 */
export function onlySuperuser(first: number, major: number): string {
  const own = (catalog: string) => `t.oid >= ${first} AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = '${catalog}'::regclass AND d.objid = t.oid AND d.deptype IN ('e', 'i'))`;
  const objects = OBJECTS.map(
    ([catalog, which]) => `SELECT i.type || ' ' || i.identity AS name
      FROM ${catalog} AS t, pg_identify_object('${catalog}'::regclass, t.oid, 0) AS i WHERE ${own(catalog)} AND ${which}`,
  );
  const ofFunctions = functions(major).map(
    ([what, which]) => `SELECT ${what} FROM pg_proc AS t JOIN pg_language l ON l.oid = prolang
      WHERE ${own('pg_proc')} AND ${which}`,
  );
  return [...objects, ...ofFunctions, PUBLICATIONS, OTHERS, changedPrivileges(first)].join(' UNION ');
}

/* A new owner needs CREATE on the database, whose privileges it gets after the load. */
const PUBLICATIONS = `
  SELECT 'publication ' || quote_ident(pubname) || ' (of all tables, or of schemas)' FROM pg_publication p
    WHERE puballtables OR EXISTS (SELECT FROM pg_depend WHERE classid = to_regclass('pg_publication_namespace')
      AND refclassid = 'pg_publication'::regclass AND refobjid = p.oid)
  UNION SELECT 'publication ' || quote_ident(pubname) || ' of ' || quote_ident(pg_get_userbyid(pubowner))
    FROM pg_publication, pg_database WHERE datname = current_database() AND NOT pg_has_role(pubowner, datdba, 'USAGE')`;

const OTHERS = `
  SELECT 'subscription ' || quote_ident(subname) FROM pg_subscription
    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION SELECT 'user mapping of ' || quote_ident(usename) || ' without a password' FROM pg_user_mappings
    WHERE 'password_required=false' = ANY (umoptions)`;

/* Those of objects of PostgreSQL itself and of extensions. A cluster's own are in no dump. */
const changedPrivileges = (first: number) => `
  SELECT 'privileges of ' || i.type || ' ' || i.identity
  FROM (SELECT o.* FROM object o LEFT JOIN pg_init_privs p
      ON p.objoid = oid AND p.classoid = class AND p.objsubid = "column"
    WHERE acl IS DISTINCT FROM initprivs) AS o, pg_identify_object(class, oid, "column") AS i
  WHERE (oid < ${first} AND (namespace = 'pg_catalog'::regnamespace OR class = 'pg_language'::regclass))
    OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = class AND d.objid = oid AND d.deptype = 'e')`;
