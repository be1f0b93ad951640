/** What POSTGRES_USER, a superuser, runs before and after a load by a role without rights: only statements of known forms. */
import { identifier } from '../postgres/client.ts';
import type { Loader } from '../postgres/loader.ts';
import type { Scan } from './dump-scan.ts';

/** Text of this process as that of a dump: one character a byte. */
const bytesOf = (text: string) => Buffer.from(text).toString('latin1');

/*
 * Of extensions: the tables whose rows a dump has, and foreign data wrappers. No code of the dump is in the database yet.
 */
const usable = (role: string) => `DO $$ DECLARE what text; BEGIN
  FOR what IN
    SELECT CASE relkind WHEN 'S' THEN 'ALL ON SEQUENCE ' ELSE 'SELECT, INSERT ON TABLE ' END || oid::regclass
      FROM pg_catalog.pg_class WHERE oid IN (SELECT unnest(extconfig) FROM pg_catalog.pg_extension)
    UNION ALL SELECT pg_catalog.format('USAGE ON FOREIGN DATA WRAPPER %I', fdwname) FROM pg_catalog.pg_foreign_data_wrapper
  LOOP EXECUTE 'GRANT ' || what || ' TO ${role}'; END LOOP; END $$;`;

/**
 * @param tablespaces that the dump names
 * @returns what has to be there before the load: extensions with their schemas, and the role's right to use them
 */
export function statementsBefore({ name }: Loader, scan: Scan, tablespaces: string[]): string[] {
  const role = identifier(name);
  const extensions = scan.phases.before;
  return [
    ...ours(tablespaces.map(each => `GRANT CREATE ON TABLESPACE ${identifier(each)} TO ${role};`)),
    ...theirs(scan, [
      ...scan.schemas.map(each => `CREATE SCHEMA ${each};`),
      ...extensions,
      // Not before: PostgreSQL keeps the privileges that an extension gives, and would know the role for good.
      ...scan.schemas.map(each => `ALTER SCHEMA ${each} OWNER TO ${role};`),
      ...(extensions.length > 0 ? [usable(role)] : []),
    ]),
  ];
}

/**
 * @param database that was loaded, its owner, and who runs this
 * @param withoutOwners leave out owners and privileges: `user` owns everything
 * @returns what ends the role, gives everything to its owners, with privileges, and makes what only a superuser may make
 */
export function statementsAfter(
  { name }: Loader,
  scan: Scan,
  { database, owner, user }: { database: string; owner: string; user: string },
  withoutOwners: boolean,
): string[] {
  const role = identifier(name);
  const live = identifier(database);
  const { phases } = scan;
  const kept = (statements: string[]) =>
    withoutOwners ? statements.filter(each => !/^ALTER .* OWNER TO /s.test(each)) : statements;
  return [
    ...ours([
      `ALTER ROLE ${role} NOLOGIN;`,
      `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = '${name}';`,
      // Its owner could set them.
      `ALTER DATABASE ${live} RESET ALL;`,
      `ALTER DATABASE ${live} CONNECTION LIMIT -1;`,
    ]),
    ...theirs(scan, kept([...phases.owner, ...phases.sequence])), // a table's sequences follow it
    ...ours([
      `REASSIGN OWNED BY ${role} TO ${identifier(user)};`,
      `DROP OWNED BY ${role};`,
      `ALTER DATABASE ${live} OWNER TO ${identifier(owner)};`,
    ]),
    ...theirs(scan, withoutOwners ? [] : phases.privilege),
    ...ours(['RESET SESSION AUTHORIZATION;']),
    ...theirs(scan, kept(phases.object)),
    ...ours([`DROP ROLE ${role};`]),
    ...theirs(scan, kept(phases.trigger)), // they would be fired by what comes after them
  ];
}

const UTF8 = "SET client_encoding = 'UTF8';";

const ours = (statements: string[]) => (statements.length > 0 ? [UTF8, ...statements.map(bytesOf)] : []);

const theirs = ({ encoding = UTF8 }: Scan, statements: string[]) =>
  statements.length > 0 ? [encoding, ...statements] : [];
