/**
 * A role has one password, and PostgreSQL asks for it at each new connection. So that the password of a role can be replaced
 * while sessions come and go, there is a second login for a while: a member of the role, whose sessions act as the role.
 */
import type { Postgres } from '../config/config.ts';
import { secondLoginOf } from '../config/store-urls.ts';
import { identifier, literal } from './client.ts';
import { queryOf } from './query.ts';
import { accepts, verifierOf } from './scram.ts';
import { openSession } from './session.ts';

/** These are lists, whose parts the catalog has in quotes already: https://www.postgresql.org/docs/current/catalog-pg-db-role-setting.html */
const LISTS =
  'search_path|temp_tablespaces|local_preload_libraries|session_preload_libraries|shared_preload_libraries';

/** Settings of `role`, for all databases or one: as statements that give them to `login`. */
const settingsOf = (
  role: string,
  login: string,
) => `SELECT format('ALTER ROLE %I%s SET %I TO %s', ${literal(login)},
    CASE WHEN setdatabase <> 0 THEN format(' IN DATABASE %I', (SELECT datname FROM pg_database WHERE oid = setdatabase)) ELSE '' END,
    split_part(s, '=', 1),
    CASE WHEN split_part(s, '=', 1) ~* '^(${LISTS})$' THEN substr(s, strpos(s, '=') + 1)
      ELSE quote_literal(substr(s, strpos(s, '=') + 1)) END) AS sql
  FROM pg_db_role_setting, unnest(setconfig) AS s WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = ${literal(role)})
    AND (setdatabase = 0 OR EXISTS (SELECT FROM pg_database WHERE oid = setdatabase))`;

/**
 * Makes the second login of a role, or gives it another password: with the role's rights, settings and limit of connections. What
 * its sessions make belongs to the role. It can be repeated.
 *
 * @param postgres a superuser
 * @throws CommandError
 */
export async function makeSecondLogin(
  postgres: Postgres,
  database: string,
  role: string,
  password: string,
): Promise<void> {
  const login = secondLoginOf(role);
  const [name, owner] = [identifier(login), identifier(role)];
  const ask = queryOf(postgres, database);
  const [found, settings] = await Promise.all([
    ask<{ here: boolean; connections: number }>(
      `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(login)}) AS here, rolconnlimit AS connections
         FROM pg_roles WHERE rolname = ${literal(role)}`,
    ),
    ask<{ sql: string }>(settingsOf(role, login)),
  ]);
  const { here, connections } = found[0]!;
  await inTransaction(postgres, database, [
    ...(here ? [] : [`CREATE ROLE ${name}`]),
    `ALTER ROLE ${name} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT ${connections}`,
    `GRANT ${owner} TO ${name}`,
    ...settings.map(({ sql }) => sql),
    `ALTER ROLE ${name} SET role TO ${owner}`,
    passwordOf(login, password),
  ]);
}

/** @returns whether a role logs in with this password. @throws CommandError */
export async function takesPassword(
  postgres: Postgres,
  database: string,
  role: string,
  password: string,
): Promise<boolean> {
  const sql = `SELECT rolpassword AS verifier FROM pg_authid WHERE rolname = ${literal(role)} AND rolcanlogin`;
  const [found] = await queryOf(postgres, database)<{ verifier: string | null }>(sql);
  return found !== undefined && accepts(found.verifier, password);
}

/** Gives a role another password. Sessions stay; new ones need it at once. @throws CommandError */
export async function setPassword(
  postgres: Postgres,
  database: string,
  role: string,
  password: string,
): Promise<void> {
  await inTransaction(postgres, database, [passwordOf(role, password)]);
}

/**
 * Ends the sessions of the second login, and drops it. What it owns in this database, where a client has left the role, becomes the
 * role's. It can be repeated.
 *
 * @throws CommandError
 */
export async function dropSecondLogin(postgres: Postgres, database: string, role: string): Promise<void> {
  const login = secondLoginOf(role);
  const sql = `SELECT FROM pg_roles WHERE rolname = ${literal(login)}`;
  if ((await queryOf(postgres, database)(sql)).length === 0) return;
  const name = identifier(login);
  await inTransaction(postgres, database, [
    `ALTER ROLE ${name} NOLOGIN`,
    `DO $do$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ${literal(login)}; END $do$`,
    `REASSIGN OWNED BY ${name} TO ${identifier(role)}`,
    `DROP OWNED BY ${name}`,
    `DROP ROLE ${name}`,
  ]);
}

/** With what the server keeps of the password: neither its log nor pg_stat_statements gets the password. */
const passwordOf = (role: string, password: string) =>
  `ALTER ROLE ${identifier(role)} PASSWORD ${literal(verifierOf(password))}`;

async function inTransaction(postgres: Postgres, database: string, statements: string[]): Promise<void> {
  await using session = openSession(postgres, database);
  await session.execute('SET log_min_error_statement = panic');
  await session.execute('BEGIN');
  for (const statement of statements) await session.execute(statement);
  await session.execute('COMMIT');
}
