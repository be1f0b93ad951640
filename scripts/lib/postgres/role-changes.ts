/** What is missing of the roles of the application and of backups in a database. */
import type { Postgres } from '../config/config.ts';
import { identifier, literal } from './client.ts';
import { type LimitedRoles, roleStatements } from './limited-roles.ts';
import { defaultPrivilegesFor, OWNED_BY_ME, type Owned, ownedByOthers } from './owned-objects.ts';
import { queryOf } from './query.ts';
import { accepts } from './scram.ts';

/** What is to be done so that the two roles have their rights in a database. */
export interface RoleChanges {
  /** Statements about the roles and the database, in order. */
  rights: string[];
  /** Those whose password the server does not take. */
  passwords: ('app' | 'backup')[];
  /** What the application's role is to own. */
  objects: Owned[];
  /** Large objects that the backup role may not read. */
  closedObjects: number;
  /** What an operator should know, as sentences. */
  notes: string[];
}

interface Facts {
  roles: { name: string; verifier: string | null; attributes: string[] }[];
  member: number;
  rights: { app: number; backup: number };
  open: { connect: boolean; create: boolean };
  others: string[];
  closed: number;
  definers: number;
  forced: string[];
  settings: string[];
}

const flag = (column: string, word: string) => `CASE WHEN rol${column} THEN '${word}' END`;

/** Of the two roles, of the database and of what changes its meaning with its owner. `app` and `backup` are quoted. */
const facts = (app: string, backup: string) => `SELECT
  (SELECT coalesce(json_agg(json_build_object('name', rolname, 'verifier', rolpassword, 'attributes', array_remove(ARRAY[
      ${flag('super', 'SUPERUSER')}, ${flag('createdb', 'CREATEDB')}, ${flag('createrole', 'CREATEROLE')}, ${flag('canlogin', 'LOGIN')},
      ${flag('replication', 'REPLICATION')}, ${flag('bypassrls', 'BYPASSRLS')}, ${flag('inherit', 'INHERIT')}], NULL))), '[]')
    FROM pg_authid WHERE rolname IN (${app}, ${backup})) AS roles,
  (SELECT count(*)::int FROM pg_auth_members WHERE pg_get_userbyid(member) = ${backup}
    AND pg_get_userbyid(roleid) IN ('pg_read_all_data', 'pg_read_all_settings', 'pg_read_all_stats')) AS member,
  (SELECT json_build_object(
      'app', count(*) FILTER (WHERE pg_get_userbyid(grantee) = ${app}),
      'backup', count(*) FILTER (WHERE pg_get_userbyid(grantee) = ${backup} AND privilege_type = 'CONNECT'))
    FROM pg_database d, aclexplode(datacl) WHERE datname = current_database() AND grantee <> 0) AS rights,
  (SELECT json_build_object('connect', EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0),
      'create', EXISTS (SELECT FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'public' AND grantee = 0 AND privilege_type = 'CREATE'))
    FROM pg_database d WHERE datname = current_database()) AS open,
  ARRAY(SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND rolname NOT IN (${app}, ${backup})
    AND rolname !~ '^(pg_|_loader_)' ORDER BY rolname) AS others,
  (SELECT count(*)::int FROM pg_largeobject_metadata WHERE NOT EXISTS (SELECT FROM aclexplode(lomacl)
    WHERE pg_get_userbyid(grantee) = ${backup} AND privilege_type = 'SELECT')) AS closed,
  (SELECT count(*)::int FROM pg_proc p WHERE prosecdef AND proowner = current_user::regrole AND oid >= 16384 AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')) AS definers,
  ARRAY(SELECT oid::regclass::text FROM pg_class WHERE relforcerowsecurity AND relrowsecurity AND relowner = current_user::regrole ORDER BY 1) AS forced,
  ARRAY(SELECT split_part(s, '=', 1) FROM pg_db_role_setting, unnest(setconfig) AS s WHERE setrole = current_user::regrole
    AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY 1) AS settings`;

const WANTED = { app: ['INHERIT', 'LOGIN'], backup: ['BYPASSRLS', 'CREATEDB', 'INHERIT', 'LOGIN'] };

/**
 * Compares the roles and the owners in a database with what they are to be. Changes nothing.
 *
 * @param postgres a superuser
 * @throws CommandError
 */
export async function readRoleChanges(
  postgres: Postgres,
  database: string,
  roles: LimitedRoles,
): Promise<RoleChanges> {
  const { app, backup } = roles;
  const ask = queryOf(postgres, database);
  const [found, objects, defaults, others] = await Promise.all([
    ask<Facts>(facts(literal(app.name), literal(backup.name))),
    ask<Owned>(OWNED_BY_ME),
    ask<{ sql: string }>(defaultPrivilegesFor(app.name)),
    ask<{ owner: string; count: number; example: string }>(ownedByOthers(app.name)),
  ]);
  const f = found[0]!;
  const roleOf = (name: string) => f.roles.find(each => each.name === name);
  const create = [app, backup].filter(({ name }) => !roleOf(name));
  const differs = (key: 'app' | 'backup') =>
    roleOf(roles[key].name)?.attributes.toSorted().join() !== WANTED[key].join();
  const isSet =
    !differs('app') && !differs('backup') && f.member === 3 && f.rights.app >= 3 && f.rights.backup >= 1;
  const mayClose = f.others.length === 0;
  const close = [
    ...(f.open.connect ? [`REVOKE ALL ON DATABASE ${identifier(database)} FROM PUBLIC`] : []),
    ...(f.open.create ? ['REVOKE CREATE ON SCHEMA public FROM PUBLIC'] : []),
  ];
  return {
    rights: [
      ...create.map(({ name }) => `CREATE ROLE ${identifier(name)}`),
      ...(isSet ? [] : roleStatements(database, roles)),
      ...(mayClose ? close : []),
      ...defaults.map(({ sql }) => sql),
    ],
    passwords: (['app', 'backup'] as const).filter(key => {
      const { name, password } = roles[key];
      return !password || !accepts(roleOf(name)?.verifier ?? null, password);
    }),
    objects,
    closedObjects: f.closed,
    notes: notesOf(f, postgres.user, app.name, others, mayClose ? [] : close),
  };
}

function notesOf(
  { others: logins, definers, forced, settings }: Facts,
  user: string,
  app: string,
  others: { owner: string; count: number; example: string }[],
  open: string[],
): string[] {
  return [
    ...others.map(
      ({ owner, count, example }) =>
        `${count} object(s) of ${owner} stay ${owner}'s, such as ${example}: ${app} uses only what is granted to it`,
    ),
    ...(definers > 0
      ? [`${definers} function(s) of ${user} with SECURITY DEFINER run with the rights of ${app} afterwards`]
      : []),
    ...(forced.length > 0
      ? [
          `row security is forced, so its policies apply to ${app}, which ${user} was exempt from: ${forced.join(', ')}`,
        ]
      : []),
    ...(settings.length > 0
      ? [`settings of ${user} (ALTER ROLE … SET) do not apply to ${app}: ${settings.join(', ')}`]
      : []),
    ...(open.length > 0
      ? [
          `any role may still connect, because others log in here (${logins.join(', ')}). GRANT CONNECT to those that need it, then: ${open.join('; ')}`,
        ]
      : []),
  ];
}

/** @returns whether nothing of it is left to do */
export function isDone({ rights, passwords, objects, closedObjects }: RoleChanges): boolean {
  return rights.length + passwords.length + objects.length + closedObjects === 0;
}

/**
 * @returns whether a role exists and owns nothing in a database, and the current user is a superuser, who can change that
 * @throws CommandError
 */
export async function ownsNothing(postgres: Postgres, database: string, role: string): Promise<boolean> {
  const [row] = await queryOf(
    postgres,
    database,
  )<{ nothing: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(role)})
       AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       AND NOT EXISTS (SELECT FROM pg_class WHERE pg_get_userbyid(relowner) = ${literal(role)})
       AND NOT EXISTS (SELECT FROM pg_proc WHERE pg_get_userbyid(proowner) = ${literal(role)}) AS nothing`,
  );
  return row!.nothing;
}
