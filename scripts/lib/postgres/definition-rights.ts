/*
 * What is said about objects: owners, privileges, comments, security labels. Each query returns `identity` and
 * `definition`; they use the relations of definitions.ts: `object`, `member` and `rel`.
 */

const roleName = (role: string, owner: string) =>
  `CASE ${role} WHEN 0 THEN 'public' WHEN ${owner} THEN '(owner)' ELSE quote_ident(pg_get_userbyid(${role})) END`;

/** Privileges as one text in a fixed order. The owner is only called that: whose an object is, is compared by itself. */
function aclText(acl: string, owner: string): string {
  return `(SELECT coalesce(string_agg(entry, ' ' ORDER BY entry COLLATE "C"), '') FROM (
    SELECT ${roleName('grantee', owner)} || '=' || privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END ||
      '/' || ${roleName('grantor', owner)} AS entry FROM aclexplode(${acl})) AS entries)`;
}

/** Those of `object` that are not the default. */
const PRIVILEGES = `SELECT kind || ' ' || identity AS identity, ${aclText('acl', 'owner')} AS definition
  FROM object WHERE acl IS NOT NULL AND ${aclText('acl', 'owner')} <> ${aclText('acldefault(acldefault, owner)', 'owner')}
  UNION ALL SELECT 'column ' || id || '.' || quote_ident(attname), ${aclText('attacl', 'relowner')}
  FROM pg_attribute JOIN rel ON rel.oid = attrelid WHERE attacl IS NOT NULL AND NOT attisdropped`;

/**
 * Of what is in pg_catalog or an extension's: where they are not those that it began with, as in a dump. Those of
 * information_schema are in no dump.
 */
const CHANGED_PRIVILEGES = `SELECT i.type || ' ' || i.identity, ${aclText('acl', 'owner')}
  FROM (SELECT 'pg_class'::regclass AS classid, c.oid AS objid, 0 AS subid, relnamespace AS ns, relacl AS acl,
      relowner AS owner, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char" AS type FROM pg_class c
    UNION ALL SELECT 'pg_class'::regclass, c.oid, attnum, relnamespace, attacl, relowner, 'c'
      FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    UNION ALL SELECT 'pg_proc'::regclass, oid, 0, pronamespace, proacl, proowner, 'f' FROM pg_proc
    UNION ALL SELECT 'pg_type'::regclass, oid, 0, typnamespace, typacl, typowner, 'T' FROM pg_type
    UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, oid, nspacl, nspowner, 'n' FROM pg_namespace
    UNION ALL SELECT 'pg_language'::regclass, oid, 0, 'pg_catalog'::regnamespace, lanacl, lanowner, 'l' FROM pg_language
  ) AS o LEFT JOIN pg_init_privs p ON objoid = objid AND classoid = classid AND objsubid = subid,
    pg_identify_object(classid, objid, subid) AS i
  WHERE acl IS NOT NULL
    AND ((ns = 'pg_catalog'::regnamespace AND objid < 16384) OR (classid, objid) IN (SELECT classid, objid FROM member))
    AND ${aclText('acl', 'owner')} <> ${aclText('coalesce(initprivs, acldefault(o.type, owner))', 'owner')}`;

const DEFAULT_PRIVILEGES = `SELECT 'of ' || quote_ident(pg_get_userbyid(defaclrole)) ||
    coalesce(' in schema ' || quote_ident(nspname), '') || ' on ' || CASE defaclobjtype WHEN 'r' THEN 'tables'
      WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'others' END,
    ${aclText('defaclacl', 'defaclrole')}
  FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace`;

/*
 * There may be millions: they are compared as groups of the same owner or the same privileges, by how many they are and
 * a hash of their numbers.
 */
const largeObjects = (group: string, which = 'true') =>
  `SELECT ${group} AS identity, count(*) || ' ' || sum(hashint8(oid::int8)) AS definition
   FROM pg_largeobject_metadata WHERE ${which} GROUP BY 1`;

/** Of what is the database's own, and of schema public; without the rule that a view is, whose comment is in no dump. */
const said = (text: string, catalog: string) => `SELECT i.type || ' ' || i.identity, ${text}
  FROM ${catalog} AS s, pg_identify_object(classoid, objoid, objsubid) AS i
  WHERE (objoid >= 16384 OR (classoid = 'pg_namespace'::regclass AND objoid = to_regnamespace('public')))
    AND i.identity !~ '^pg_(toast_)?temp_' AND i.identity !~ '^"_RETURN" on '
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = classoid AND m.objid = objoid)`;

/** Queries of each kind. */
export const RIGHTS: Record<string, string[]> = {
  'owner of': [
    `SELECT kind || ' ' || identity, quote_ident(pg_get_userbyid(owner)) FROM object WHERE owner IS NOT NULL`,
  ],
  'privileges of': [PRIVILEGES, CHANGED_PRIVILEGES],
  'default privileges': [DEFAULT_PRIVILEGES],
  'large objects': [largeObjects(`'in the database'`)],
  'large objects owned by': [largeObjects('quote_ident(pg_get_userbyid(lomowner))')],
  'large objects with privileges': [largeObjects(aclText('lomacl', 'lomowner'), 'lomacl IS NOT NULL')],
  'comment on': [said('description', 'pg_description')],
  'security label on': [said(`provider || ' ' || label`, 'pg_seclabel')],
};
