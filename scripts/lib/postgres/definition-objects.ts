/* Definitions of what is not a relation, in the form of definition-relations.ts. */
import { ordered, printed, sorted } from './definition-relations.ts';

const NOTHING = 'NULL, NULL, NULL';

/** Without what comes with a type, such as the functions that make a range. */
const ofItsOwn = (catalog: string, oid: string) => `NOT EXISTS (SELECT FROM pg_depend d
  WHERE d.classid = '${catalog}'::regclass AND d.objid = ${oid} AND d.deptype = 'i')`;

const SCHEMA = `SELECT 'pg_namespace'::regclass::oid, n.oid, 'schema', ns.name, '', nspowner, nspacl, 'n'
  FROM pg_namespace n JOIN ns ON ns.oid = n.oid`;

/** Without plpgsql, which each new database has. An extension's owner is in no dump. */
const EXTENSION = `SELECT 'pg_extension'::regclass::oid, e.oid, 'extension', quote_ident(extname),
    nspname::text, ${NOTHING}
  FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE extname <> 'plpgsql'
  UNION ALL SELECT 'pg_extension'::regclass::oid, oid, 'version of', 'extension ' || quote_ident(extname), extversion,
    ${NOTHING}
  FROM pg_extension WHERE extname <> 'plpgsql'`;

/** Without those that come with another object: arrays, rows of tables, multiranges. */
const TYPE = `SELECT 'pg_type'::regclass::oid, t.oid,
    CASE typtype WHEN 'd' THEN 'domain' ELSE 'type' END, format_type(t.oid, NULL),
    ROW(typtype,
      ARRAY(SELECT enumlabel FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder),
      CASE WHEN typtype = 'd' THEN ROW(format_type(typbasetype, typtypmod), typnotnull,
        ${printed('coalesce(pg_get_expr(typdefaultbin, 0), typdefault)')}, typcollation::regcollation) END,
      (SELECT ROW(rngsubtype::regtype, rngcollation::regcollation, opcname, rngcanonical::regproc, rngsubdiff::regproc,
          format_type(rngmultitypid, NULL))
        FROM pg_range JOIN pg_opclass o ON o.oid = rngsubopc WHERE rngtypid = t.oid),
      CASE WHEN typtype = 'b' THEN ROW(typlen, typbyval, typalign, typstorage, typinput::regproc, typoutput::regproc,
        typreceive::regproc, typsend::regproc, typmodin::regproc, typmodout::regproc, typanalyze::regproc,
        typcategory, typispreferred, typdelim, typdefault, format_type(typelem, NULL), typcollation::regcollation) END
    )::text, typowner, typacl, 'T'
  FROM pg_type t JOIN ns ON ns.oid = typnamespace
  WHERE typtype IN ('b', 'd', 'e', 'r') AND typisdefined
    AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
  UNION ALL SELECT 'pg_type'::regclass::oid, t.oid, 'type', format_type(t.oid, NULL), 'composite', typowner, typacl, 'T'
  FROM pg_type t JOIN rel ON rel.oid = typrelid WHERE relkind = 'c'`;

/** Source texts come from the catalog, not from pg_get_functiondef, whose form changes with the version. */
const FUNCTION = `SELECT 'pg_proc'::regclass::oid, p.oid,
    CASE prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END, p.oid::regprocedure::text,
    ROW(prokind, ${printed('pg_get_function_arguments(p.oid)')}, pg_get_function_result(p.oid), lanname, provolatile, proleakproof,
      proisstrict, prosecdef, proparallel, procost, prorows, ${sorted('proconfig')}, prosupport::regproc,
      prosrc, probin, ARRAY(SELECT format_type(x, NULL) FROM unnest(protrftypes) AS x),
      (SELECT ROW(aggkind, aggnumdirectargs, aggtransfn::regproc, aggfinalfn::regproc, aggcombinefn::regproc,
          aggserialfn::regproc, aggdeserialfn::regproc, aggmtransfn::regproc, aggminvtransfn::regproc,
          aggmfinalfn::regproc, aggfinalextra, aggmfinalextra, aggfinalmodify, aggmfinalmodify, aggsortop::regoperator,
          aggtranstype::regtype, aggtransspace, aggmtranstype::regtype, aggmtransspace, agginitval, aggminitval)
        FROM pg_aggregate WHERE aggfnoid = p.oid))::text,
    proowner, proacl, 'f'
  FROM pg_proc p JOIN ns ON ns.oid = pronamespace JOIN pg_language l ON l.oid = prolang
  WHERE ${ofItsOwn('pg_proc', 'p.oid')}
  UNION ALL SELECT 'pg_proc'::regclass::oid, p.oid, 'query of', 'function ' || p.oid::regprocedure::text,
    ${printed('pg_get_function_sqlbody(p.oid)')}, ${NOTHING}
  FROM pg_proc p JOIN ns ON ns.oid = pronamespace WHERE prosqlbody IS NOT NULL`;

const OPERATOR = `SELECT 'pg_operator'::regclass::oid, o.oid, 'operator', o.oid::regoperator::text,
    ROW(oprcanmerge, oprcanhash, oprcode::regprocedure, oprcom::regoperator, oprnegate::regoperator, oprrest::regproc,
      oprjoin::regproc)::text, oprowner, NULL, NULL
  FROM pg_operator o JOIN ns ON ns.oid = oprnamespace WHERE oprcode <> 0
  UNION ALL SELECT 'pg_opfamily'::regclass::oid, f.oid, 'operator family',
    ns.name || '.' || quote_ident(opfname) || ' using ' || amname, ROW(
      ${ordered(`SELECT ROW(amopstrategy, amoppurpose, amopopr::regoperator, s.opfname)::text
        FROM pg_amop LEFT JOIN pg_opfamily s ON s.oid = amopsortfamily WHERE amopfamily = f.oid`)},
      ${ordered(`SELECT ROW(amprocnum, amproclefttype::regtype, amprocrighttype::regtype, amproc::regprocedure)::text
        FROM pg_amproc WHERE amprocfamily = f.oid`)})::text, opfowner, NULL, NULL
  FROM pg_opfamily f JOIN ns ON ns.oid = opfnamespace JOIN pg_am a ON a.oid = opfmethod
  UNION ALL SELECT 'pg_opclass'::regclass::oid, c.oid, 'operator class',
    ns.name || '.' || quote_ident(opcname) || ' using ' || amname,
    ROW(format_type(opcintype, NULL), format_type(opckeytype, NULL), opcdefault, opfname)::text, opcowner, NULL, NULL
  FROM pg_opclass c JOIN ns ON ns.oid = opcnamespace JOIN pg_opfamily f ON f.oid = opcfamily
    JOIN pg_am a ON a.oid = opcmethod`;

/** Columns of pg_collation have other names since 17. Without the operating system's version of a locale. */
const COLLATION = `SELECT 'pg_collation'::regclass::oid, c.oid, 'collation', ns.name || '.' || quote_ident(collname),
    ROW(collprovider, collisdeterministic, collencoding, collcollate, collctype,
      coalesce(to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'colllocale'), to_jsonb(c) ->> 'collicurules')::text,
    collowner, NULL, NULL
  FROM pg_collation c JOIN ns ON ns.oid = collnamespace`;

const TEXT_SEARCH = `SELECT 'pg_ts_config'::regclass::oid, c.oid, 'text search configuration',
    ns.name || '.' || quote_ident(cfgname), ROW(prsname,
      ARRAY(SELECT ROW(maptokentype, mapseqno, mapdict::regdictionary)::text FROM pg_ts_config_map
        WHERE mapcfg = c.oid ORDER BY maptokentype, mapseqno))::text, cfgowner, NULL, NULL
  FROM pg_ts_config c JOIN ns ON ns.oid = cfgnamespace JOIN pg_ts_parser p ON p.oid = cfgparser
  UNION ALL SELECT 'pg_ts_dict'::regclass::oid, d.oid, 'text search dictionary',
    ns.name || '.' || quote_ident(dictname), ROW(tmplname, dictinitoption)::text, dictowner, NULL, NULL
  FROM pg_ts_dict d JOIN ns ON ns.oid = dictnamespace JOIN pg_ts_template t ON t.oid = dicttemplate
  UNION ALL SELECT 'pg_ts_parser'::regclass::oid, p.oid, 'text search parser', ns.name || '.' || quote_ident(prsname),
    ROW(prsstart, prstoken, prsend, prsheadline, prslextype)::text, ${NOTHING}
  FROM pg_ts_parser p JOIN ns ON ns.oid = prsnamespace
  UNION ALL SELECT 'pg_ts_template'::regclass::oid, t.oid, 'text search template',
    ns.name || '.' || quote_ident(tmplname), ROW(tmplinit, tmpllexize)::text, ${NOTHING}
  FROM pg_ts_template t JOIN ns ON ns.oid = tmplnamespace`;

/** Casts have no schema: those of PostgreSQL itself have numbers below 16384 (FirstNormalObjectId). */
const CAST = `SELECT 'pg_cast'::regclass::oid, oid, 'cast',
    '(' || format_type(castsource, NULL) || ' AS ' || format_type(casttarget, NULL) || ')',
    ROW(castfunc::regprocedure, castcontext, castmethod)::text, ${NOTHING}
  FROM pg_cast c WHERE oid >= 16384 AND ${ofItsOwn('pg_cast', 'c.oid')}
  UNION ALL SELECT 'pg_conversion'::regclass::oid, c.oid, 'conversion', ns.name || '.' || quote_ident(conname),
    ROW(conforencoding, contoencoding, conproc::regproc, condefault)::text, conowner, NULL, NULL
  FROM pg_conversion c JOIN ns ON ns.oid = connamespace
  UNION ALL SELECT 'pg_transform'::regclass::oid, t.oid, 'transform', format_type(trftype, NULL) || ' for ' || lanname,
    ROW(trffromsql::regprocedure, trftosql::regprocedure)::text, ${NOTHING}
  FROM pg_transform t JOIN pg_language l ON l.oid = trflang WHERE t.oid >= 16384
  UNION ALL SELECT 'pg_language'::regclass::oid, oid, 'language', quote_ident(lanname),
    ROW(lanpltrusted, lanplcallfoid::regprocedure, laninline::regprocedure, lanvalidator::regprocedure)::text,
    lanowner, lanacl, 'l'
  FROM pg_language WHERE oid >= 16384
  UNION ALL SELECT 'pg_am'::regclass::oid, oid, 'access method', quote_ident(amname),
    ROW(amtype, amhandler::regproc)::text, ${NOTHING}
  FROM pg_am WHERE oid >= 16384`;

/** The options of a server whose values are no secrets. Of the others only the names count. */
const OPEN_OPTIONS =
  'host|hostaddr|port|dbname|service|sslmode|extensions|fetch_size|use_remote_estimate|updatable';

/** Without the options of user mappings: who does not own the server does not see them. */
const FOREIGN = `SELECT 'pg_foreign_data_wrapper'::regclass::oid, oid, 'foreign data wrapper', quote_ident(fdwname),
    ROW(fdwhandler::regproc, fdwvalidator::regproc, ${sorted('fdwoptions')})::text, fdwowner, fdwacl, 'F'
  FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'pg_foreign_server'::regclass::oid, s.oid, 'server', quote_ident(srvname),
    ROW(fdwname, srvtype, srvversion, ${ordered(`SELECT CASE WHEN o ~ '^(${OPEN_OPTIONS})=' THEN o ELSE split_part(o, '=', 1) END
      FROM unnest(srvoptions) AS o`)})::text, srvowner, srvacl, 'S'
  FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = srvfdw
  UNION ALL SELECT 'pg_user_mapping'::regclass::oid, umid, 'user mapping',
    'of ' || CASE WHEN umuser = 0 THEN 'public' ELSE quote_ident(usename) END || ' for ' || quote_ident(srvname), '',
    ${NOTHING}
  FROM pg_user_mappings`;

const EVENT_TRIGGER = `SELECT 'pg_event_trigger'::regclass::oid, oid, 'event trigger', quote_ident(evtname),
    ROW(evtevent, evtfoid::regproc, evtenabled, ${sorted('evttags')})::text, evtowner, NULL, NULL
  FROM pg_event_trigger`;

/** A restored subscription is disabled until an operator enables it, so that is not compared, nor is where it connects. */
const REPLICATION = `SELECT 'pg_publication'::regclass::oid, p.oid, 'publication', quote_ident(pubname),
    ROW(to_jsonb(p) - '{oid,pubname,pubowner}'::text[],
      ${ordered(`SELECT ROW(prrelid::regclass, ${printed('pg_get_expr(prqual, prrelid)')},
          ${ordered(`SELECT attname::text FROM pg_attribute WHERE attrelid = prrelid AND attnum = ANY (prattrs)`)})::text
        FROM pg_publication_rel WHERE prpubid = p.oid`)},
      ${ordered(`SELECT pnnspid::regnamespace::text FROM pg_publication_namespace WHERE pnpubid = p.oid`)})::text, pubowner, NULL, NULL
  FROM pg_publication p
  UNION ALL SELECT 'pg_subscription'::regclass::oid, oid, 'subscription', quote_ident(subname),
    ROW(subslotname, subbinary, ${sorted('subpublications')})::text, subowner, NULL, NULL
  FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`;

export const OBJECT_QUERIES = [
  SCHEMA,
  EXTENSION,
  TYPE,
  FUNCTION,
  OPERATOR,
  COLLATION,
  TEXT_SEARCH,
  CAST,
  FOREIGN,
  EVENT_TRIGGER,
  REPLICATION,
];
