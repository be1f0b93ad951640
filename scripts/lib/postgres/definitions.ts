import { OBJECT_QUERIES } from './definition-objects.ts';
import { RELATION_QUERIES, RELATIONS } from './definition-relations.ts';
import { RIGHTS } from './definition-rights.ts';
import type { Statements } from './session.ts';
import { UNFILLED } from './unfilled-views.ts';

/**
 * What a database is made of: of each kind of object the full names, and with each a hash (64 bits of MD5, in
 * hexadecimal) of its definition. A kind and a name make a sentence: `column` `public.users.name`, `owner of` `table
 * public.users`. Equal after a dump and a restore by the same version of PostgreSQL.
 */
export type Definitions = Record<string, Record<string, string>>;

/** Kinds whose definition is a short text that says something, and stands there itself. */
export const READABLE = ['owner of', 'version of', 'tablespace of'];

/*
 * What definitions are printed with: no setting of a role or database that changes the form of an expression. Names have
 * their schema, because a session's search_path is pg_catalog.
 */
const SETTINGS = [
  `TimeZone = 'UTC'`,
  `DateStyle = 'ISO'`,
  `IntervalStyle = 'postgres'`,
  'extra_float_digits = 3',
  `bytea_output = 'hex'`,
  'jit = off', // of no use for catalogs, and takes longer than the queries
];

const hash = `CASE WHEN kind IN (${READABLE.map(kind => `'${kind}'`).join(', ')}) THEN definition
  ELSE left(md5(definition), 16) END`;

const rights = Object.entries(RIGHTS).flatMap(([kind, queries]) =>
  queries.map(sql => `SELECT '${kind}' AS kind, q.* FROM (${sql}) AS q (identity, definition)`),
);

/* Without what an extension brings: its version stands for it. */
const DEFINITIONS = `WITH member AS MATERIALIZED (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
  ns AS MATERIALIZED (SELECT oid, quote_ident(nspname) AS name FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
  rel AS MATERIALIZED (${RELATIONS}), unfilled AS MATERIALIZED (${UNFILLED}),
  object (classid, objid, kind, identity, definition, owner, acl, acldefault) AS MATERIALIZED (
    SELECT * FROM (${[...RELATION_QUERIES, ...OBJECT_QUERIES].join(' UNION ALL ')})
      AS o (classid, objid, kind, identity, definition, owner, acl, acldefault)
    WHERE (classid, objid) NOT IN (SELECT classid, objid FROM member)
      OR classid = 'pg_extension'::regclass),
  entry AS (SELECT kind, identity, coalesce(definition, '') AS definition FROM object
    UNION ALL ${rights.join(' UNION ALL ')})
  SELECT kind, json_object_agg(identity, ${hash} ORDER BY identity COLLATE "C") AS hashes
  FROM entry GROUP BY kind ORDER BY kind COLLATE "C"`;

/**
 * Reads the definitions of all objects of the session's database, in its snapshot where it has one. Functions that print
 * definitions read the newest catalog: what is altered meanwhile may be neither the old nor the new.
 *
 * @throws CommandError
 */
export async function readDefinitions(session: Statements): Promise<Definitions> {
  await session.execute(SETTINGS.map(setting => `SET ${setting}`).join('; '));
  const rows = await session.query<{ kind: string; hashes: Record<string, string> }>(DEFINITIONS);
  await session.execute(SETTINGS.map(setting => `RESET ${setting.split(' ')[0]}`).join('; '));
  return Object.fromEntries(rows.map(({ kind, hashes }) => [kind, hashes]));
}
