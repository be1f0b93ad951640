import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { literal, queryOf, toDatabase } from '../../scripts/lib/postgres.ts';
import { fingerprint } from '../../scripts/lib/tables.ts';
import type { World } from './world.ts';

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

/** Everything that is in a database, as text that two equal databases have in common. */
export interface Content {
  /** pg_dump's whole output, without the random words of \restrict. */
  dump: string;
  /** Rows and a hash of each table. */
  tables: unknown;
  largeObjects: unknown;
}

export async function contentOf(world: World, database = world.database): Promise<Content> {
  const dump = await program(world, 'pg_dump', '--no-acl', `--dbname=${toDatabase(database)}`);
  return {
    dump: dump.replaceAll(/^\\(un)?restrict .*$/gm, ''),
    tables: await fingerprint(queryOf(world.pg.postgres, database)),
    largeObjects: await world.rows(
      'SELECT oid::int8, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY oid',
      database,
    ),
  };
}

/** What a database is beside its content: owner, encoding, locale, limit, comment, privileges, settings. */
export async function propertiesOf(world: World, database = world.database): Promise<unknown> {
  const [properties] = await world.rows(
    `SELECT pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding, datlocprovider, datcollate,
       datctype, daticulocale, datconnlimit, datallowconn, shobj_description(d.oid, 'pg_database') AS comment,
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
