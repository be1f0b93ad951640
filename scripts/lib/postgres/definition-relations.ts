/*
 * Definitions of tables and what belongs to them. Each query returns `classid`, `objid`, `kind`, `identity`,
 * `definition`, `owner`, `acl` and the type of its default privileges (`acldefault`); they use the relations of
 * definitions.ts: `ns` (schemas) and `rel` (relations).
 */

/** The texts of a query as an array, in an order that no locale changes. */
export const ordered = (select: string) =>
  `ARRAY(SELECT e FROM (${select}) AS texts (e) ORDER BY e COLLATE "C")`;

/** An array of text in such an order. */
export const sorted = (array: string) => ordered(`SELECT unnest(${array})`);

const CAST = String.raw`::(?:"[^"]*"|[\w.])+(?:\([\d, ]+\))?(?: varying| precision)?(?:\([\d, ]+\))?(?: with(?:out)? time zone)?(?:\[\])*`;

/**
 * An expression as PostgreSQL prints it, without casts and parentheses: loaded and printed again, some have others. Of
 * `name IN ('a', 'b')` with a varchar the first print is `(name)::text = ANY ((ARRAY['a'::character varying,
 * 'b'::character varying])::text[])`, the second `(name)::text = ANY (ARRAY[('a'::character varying)::text, …])`.
 */
export const printed = (sql: string) => `translate(regexp_replace(${sql}, '${CAST}', '', 'g'), '()', '')`;

/** The relations of a database, with a full name each and the word for its kind. */
export const RELATIONS = `SELECT c.*, ns.name AS schema, ns.name || '.' || quote_ident(relname) AS id,
    CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
      WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'composite type' ELSE 'table' END AS word,
    relkind IN ('r', 'p', 'm', 'f') AS stored
  FROM pg_class c JOIN ns ON ns.oid = relnamespace
  WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND NOT EXISTS (
    SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = c.oid)`;

const RELATION = `SELECT 'pg_class'::regclass::oid, rel.oid, word, id, ROW(
    relpersistence, relkind = 'p', relrowsecurity, relforcerowsecurity,
    relispopulated AND rel.oid NOT IN (SELECT view FROM unfilled), relreplident,
    (SELECT indexrelid::regclass FROM pg_index i WHERE indrelid = rel.oid AND indisreplident AND relreplident = 'i'),
    (SELECT amname FROM pg_am WHERE pg_am.oid = relam), ${sorted('reloptions')},
    ${ordered('SELECT unnest(reloptions) FROM pg_class t WHERE t.oid = rel.reltoastrelid')},
    CASE WHEN reloftype <> 0 THEN format_type(reloftype, NULL) END,
    CASE WHEN relkind = 'p' THEN ${printed('pg_get_partkeydef(rel.oid)')} END, ${printed('pg_get_expr(relpartbound, rel.oid)')},
    ARRAY(SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = rel.oid ORDER BY inhseqno),
    (SELECT ROW(srvname, ${sorted('ftoptions')}) FROM pg_foreign_table JOIN pg_foreign_server s ON s.oid = ftserver
      WHERE ftrelid = rel.oid))::text,
    CASE WHEN relkind <> 'c' THEN relowner END, relacl, 'r'::"char"
  FROM rel WHERE relkind <> 'S'`;

/* PostgreSQL keeps values of its own among them, such as pg_attver, which no dump holds. */
const OPTIONS_OF_COLUMN = ordered(String.raw`SELECT o FROM unnest(attoptions) AS o WHERE o NOT LIKE 'pg\_%'`);

/*
 * The number of a column is not its place: a dump puts the inherited columns of a child first. Nor are
 * `attislocal` and the like compared, which ATTACH PARTITION sets in another way than CREATE TABLE.
 */
const COLUMN = `SELECT 'pg_class'::regclass::oid, rel.oid, 'column', id || '.' || quote_ident(attname), ROW(
    CASE WHEN relispartition OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = rel.oid)
      THEN row_number() OVER (PARTITION BY rel.oid ORDER BY attnum) END,
    format_type(atttypid, atttypmod), CASE WHEN attcollation <> typcollation THEN attcollation::regcollation END,
    attnotnull, attidentity, attgenerated, CASE WHEN stored THEN attstorage END, attcompression,
    nullif(attstattarget, -1), ${OPTIONS_OF_COLUMN}, ${sorted('attfdwoptions')})::text,
    NULL::oid, NULL::aclitem[], NULL::"char"
  FROM pg_attribute a JOIN rel ON rel.oid = attrelid JOIN pg_type t ON t.oid = atttypid
  WHERE attnum > 0 AND NOT attisdropped AND relkind <> 'S'`;

const DEFAULT = `SELECT 'pg_class'::regclass::oid, rel.oid, 'default of', 'column ' || id || '.' || quote_ident(attname),
    ${printed('pg_get_expr(adbin, adrelid)')}, NULL, NULL, NULL
  FROM pg_attrdef JOIN rel ON rel.oid = adrelid JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum`;

/** A sequence of a column belongs to the table's owner, so its own is not listed. */
const SEQUENCE = `SELECT 'pg_class'::regclass::oid, rel.oid, word, id, ROW(relpersistence, seqtypid::regtype, seqstart,
    seqincrement, seqmin, seqmax, seqcache, seqcycle, refobjid::regclass, attname, deptype)::text,
    CASE WHEN refobjid IS NULL THEN relowner END, relacl, 's'
  FROM rel JOIN pg_sequence ON seqrelid = rel.oid
    LEFT JOIN pg_depend d ON classid = 'pg_class'::regclass AND objid = rel.oid AND objsubid = 0
      AND refclassid = 'pg_class'::regclass AND refobjsubid > 0 AND deptype IN ('a', 'i')
    LEFT JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid`;

/** Without invalid indexes, which pg_dump leaves out. */
const INDEX = `SELECT 'pg_class'::regclass::oid, c.oid, 'index', schema || '.' || quote_ident(c.relname),
    ROW(${printed('pg_get_indexdef(indexrelid)')}, indisclustered,
      (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = indexrelid),
      ARRAY(SELECT nullif(attstattarget, -1)::text FROM pg_attribute WHERE attrelid = indexrelid ORDER BY attnum))::text,
    NULL, NULL, NULL
  FROM pg_index JOIN rel ON rel.oid = indrelid JOIN pg_class c ON c.oid = indexrelid
  WHERE (indisvalid OR rel.relkind = 'p') AND indisready`;

/*
 * Without NOT NULL, which is in the columns, and without the foreign keys that a partition gets from its parent: they
 * are named by the server.
 */
const CONSTRAINT = `SELECT 'pg_class'::regclass::oid, rel.oid, 'constraint', quote_ident(conname) || ' on ' || id,
    ${printed('pg_get_constraintdef(k.oid)')}, NULL, NULL, NULL
  FROM pg_constraint k JOIN rel ON rel.oid = conrelid
  WHERE contype IN ('c', 'f', 'p', 'u', 'x') AND NOT (contype = 'f' AND conparentid <> 0)
  UNION ALL SELECT 'pg_type'::regclass::oid, t.oid, 'constraint',
    quote_ident(conname) || ' on ' || format_type(t.oid, NULL), ${printed('pg_get_constraintdef(k.oid)')}, NULL, NULL, NULL
  FROM pg_constraint k JOIN pg_type t ON t.oid = contypid JOIN ns ON ns.oid = typnamespace WHERE contype = 'c'`;

const TRIGGER = `SELECT 'pg_class'::regclass::oid, rel.oid, 'trigger', quote_ident(tgname) || ' on ' || id,
    ROW(${printed('pg_get_triggerdef(t.oid)')}, tgenabled)::text, NULL, NULL, NULL
  FROM pg_trigger t JOIN rel ON rel.oid = tgrelid WHERE NOT tgisinternal`;

const RULE = `SELECT 'pg_class'::regclass::oid, rel.oid, 'rule', quote_ident(rulename) || ' on ' || id,
    ROW(${printed('pg_get_ruledef(r.oid)')}, ev_enabled)::text, NULL, NULL, NULL
  FROM pg_rewrite r JOIN rel ON rel.oid = ev_class WHERE rulename <> '_RETURN'
  UNION ALL SELECT 'pg_class'::regclass::oid, rel.oid, 'query of', word || ' ' || id, ${printed('pg_get_viewdef(rel.oid)')},
    NULL, NULL, NULL
  FROM rel WHERE relkind IN ('v', 'm')`;

const POLICY = `SELECT 'pg_class'::regclass::oid, rel.oid, 'policy', quote_ident(polname) || ' on ' || id,
    ROW(polcmd, polpermissive, ${ordered(`SELECT CASE WHEN r <> 0 THEN pg_get_userbyid(r)::text END FROM unnest(polroles) AS r`)}, ${printed('pg_get_expr(polqual, polrelid)')}, ${printed('pg_get_expr(polwithcheck, polrelid)')})::text,
    NULL, NULL, NULL
  FROM pg_policy JOIN rel ON rel.oid = polrelid`;

const STATISTICS = `SELECT 'pg_statistic_ext'::regclass::oid, s.oid, 'statistics', ns.name || '.' || quote_ident(stxname),
    ROW(${printed('pg_get_statisticsobjdef(s.oid)')}, nullif(stxstattarget, -1))::text, stxowner, NULL, NULL
  FROM pg_statistic_ext s JOIN ns ON ns.oid = stxnamespace`;

/** Only those in another tablespace than their database. */
const TABLESPACE = `SELECT 'pg_class'::regclass::oid, c.oid, 'tablespace of',
    CASE WHEN relkind IN ('i', 'I') THEN 'index' ELSE 'table' END || ' ' || ns.name || '.' || quote_ident(relname),
    spcname::text, NULL, NULL, NULL
  FROM pg_class c JOIN ns ON ns.oid = relnamespace JOIN pg_tablespace t ON t.oid = reltablespace`;

export const RELATION_QUERIES = [
  RELATION,
  COLUMN,
  DEFAULT,
  SEQUENCE,
  INDEX,
  CONSTRAINT,
  TRIGGER,
  RULE,
  POLICY,
  STATISTICS,
  TABLESPACE,
];
