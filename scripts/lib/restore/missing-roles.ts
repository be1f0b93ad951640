import { join } from 'node:path';
import type { LocalSource } from '../backup/fetch.ts';
import type { Postgres } from '../config/config.ts';
import { messageOf, OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { CommandError } from '../core/shell.ts';
import { identifier, runSql } from '../postgres/client.ts';
import { maintenanceOf } from '../postgres/databases.ts';
import type { Needs } from '../postgres/needs.ts';
import { queryOf } from '../postgres/query.ts';
import type { ServerFacts } from '../postgres/server.ts';
import { createRole, type Globals, readGlobals } from './globals.ts';
import { gunzipped } from './plain-dump.ts';
import {
  membershipKey,
  planRoles,
  type RolePlan,
  roleDifferences,
  type Server,
  type ServerRole,
} from './role-plan.ts';

/** The roles of a source and of this server, compared. */
export interface Roles {
  plan: RolePlan;
  globals: Globals | undefined;
}

/** @returns the roles of this server, and who is a member of which */
export async function readRoles(
  postgres: Postgres,
  { superuser, major }: ServerFacts,
): Promise<{ server: Server; memberships: Set<string> }> {
  const usable = `pg_has_role(oid, 'USAGE')${major >= 16 ? ` AND pg_has_role(oid, 'SET')` : ''}`;
  const ask = queryOf(postgres, maintenanceOf(postgres));
  const [roles, memberships] = await Promise.all([
    ask<ServerRole>(`SELECT rolname AS name, ${usable} AS usable, array_remove(ARRAY[
        CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolinherit THEN 'INHERIT' END,
        CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
        CASE WHEN rolcanlogin THEN 'LOGIN' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
        CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL) AS attributes FROM pg_roles`),
    ask<{ role: string; member: string }>(
      'SELECT pg_get_userbyid(roleid) AS role, pg_get_userbyid(member) AS member FROM pg_auth_members',
    ),
  ]);
  return {
    server: { major, user: postgres.user, superuser, roles: new Map(roles.map(role => [role.name, role])) },
    memberships: new Set(memberships.map(({ role, member }) => membershipKey(role, member))),
  };
}

/**
 * Compares the roles that a restore needs with those of this server. Changes nothing.
 * @param needed what the dump names; what the restore leaves out is not among it
 * @param isDrill no role is created, and the roles of this server are not compared with the backup's
 */
export async function compareRoles(
  { server, memberships }: Awaited<ReturnType<typeof readRoles>>,
  source: LocalSource,
  needed: Needs['roles'],
  isDrill = false,
): Promise<Roles> {
  if (isDrill || !source.manifest) return { plan: planRoles(server, needed, undefined), globals: undefined };
  const globals = await readGlobals(gunzipped(join(source.directory, source.manifest.globals.name)));
  const different = roleDifferences(server, globals, memberships);
  if (different.length > 0) {
    log.warn(`roles are not as in the backup, and stay as they are. To change them:${lines(different)}`);
  }
  return { plan: planRoles(server, needed, globals), globals };
}

const lines = (statements: string[]) => statements.map(statement => `\n      ${statement}`).join('');

/**
 * @param isOptional whether the restore can leave out owners and privileges
 * @throws OperationalError that names all roles that are in the way, and the statements that help
 */
export function refuseRoles({ problems }: RolePlan, user: string, isOptional: boolean): void {
  if (problems.length === 0) return;
  const statements = [...new Set(problems.flatMap(problem => problem.statements))];
  const isEnough = problems.every(problem => problem.statements.length > 0);
  const way = isEnough
    ? `run as a superuser:${lines(statements)}${isOptional ? '\n    or ' : ''}`
    : `restore with a superuser as POSTGRES_USER${isOptional ? ', or ' : '.'}`;
  throw new OperationalError(
    `${user} can't restore all owners, privileges and policies: ${problems.map(({ text }) => text).join('; ')}`,
    `${way}${isOptional ? 'leave out owners and privileges: --no-owners.' : ''}`,
  );
}

/**
 * Creates the roles of the source's server that this server lacks, with their settings and memberships. They have no
 * passwords, because a backup has none.
 *
 * @throws CommandError where a role can't be created
 */
export async function createMissingRoles(postgres: Postgres, { plan, globals }: Roles): Promise<void> {
  const { create, join: joined, skipped } = plan;
  if (skipped.length > 0)
    log.warn(
      `not created, because ${postgres.user} may not and this database does not need them: ${skipped.join(', ')}`,
    );
  if (create.length === 0 || !globals) return;
  const names = new Set(create.map(({ name }) => name));
  const list = create.map(({ name }) => identifier(name)).join(', ');
  const me = identifier(postgres.user);
  const statements = [
    ...create.map(createRole),
    ...joined.map(name => `GRANT ${identifier(name)} TO ${me};`),
  ];
  await runSql(postgres, maintenanceOf(postgres), statements.join('\n'), {
    purpose: 'create the missing roles',
    timeout: 60,
    hint: `create them by hand, as a superuser: ${list}.`,
  });
  const others = [
    ...globals.memberships
      .filter(({ role, member }) => names.has(role) || names.has(member))
      .map(({ statement }) => statement),
    ...create.flatMap(role => role.others),
  ];
  await runEach(postgres, others);
  log.warn(
    `created ${list} without passwords, because a backup has none: set them. ./scripts/database-roles.ts sets those of APP_DB_USER and BACKUP_DB_USER`,
  );
}

/** Runs statements together; if that fails, each by itself, and names those that fail. */
async function runEach(postgres: Postgres, statements: string[]): Promise<void> {
  const purpose = 'restore memberships and settings of roles';
  if (statements.length === 0) return;
  try {
    await runSql(postgres, maintenanceOf(postgres), statements.join('\n'), { purpose });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    for (const statement of statements) {
      await runSql(postgres, maintenanceOf(postgres), statement, { purpose: `run ${statement}` }).catch(
        (error: unknown) => {
          if (!(error instanceof CommandError)) throw error;
          log.warn(messageOf(error));
        },
      );
    }
  }
}
