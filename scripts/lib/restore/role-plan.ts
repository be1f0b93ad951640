/** Which roles a restore creates, and what it may not do with roles. */
import { identifier } from '../postgres/client.ts';
import type { Needs } from '../postgres/needs.ts';
import { type Attribute, createRole, type GlobalRole, type Globals } from './globals.ts';

/** A role of this server, as far as POSTGRES_USER is concerned. */
export interface ServerRole {
  name: string;
  attributes: Attribute[];
  /** POSTGRES_USER may do all that it may, and may give objects to it. */
  usable: boolean;
}

/** This server and POSTGRES_USER on it. */
export interface Server {
  major: number;
  user: string;
  superuser: boolean;
  roles: Map<string, ServerRole>;
}

export interface RolePlan {
  /** Roles that are missing here and that POSTGRES_USER may create, as in the globals. */
  create: GlobalRole[];
  /** Roles that the restore creates and of which POSTGRES_USER becomes a member: it gives objects to them. */
  join: string[];
  /** What is in the way, and the statements of a superuser that help. */
  problems: { text: string; statements: string[] }[];
  /** Missing roles that the dump does not need and that POSTGRES_USER may not create. */
  skipped: string[];
}

/** Uses for which POSTGRES_USER has to be a member of the role. */
const AS_OWNER = ['owner', 'defaults'] as const;

/**
 * @param needed roles that the dump names
 * @param globals undefined: of a dump without any
 */
export function planRoles(server: Server, needed: Needs['roles'], globals: Globals | undefined): RolePlan {
  const plan: RolePlan = { create: [], join: [], problems: [], skipped: [] };
  const me = identifier(server.user);
  const names = new Set(needed.map(({ name }) => name));
  for (const role of globals?.roles.values() ?? []) {
    if (server.roles.has(role.name) || role.name.startsWith('pg_')) continue;
    if (mayCreate(server, role)) plan.create.push(role);
    else if (!names.has(role.name)) plan.skipped.push(role.name);
  }
  const created = new Set(plan.create.map(({ name }) => name));
  for (const { name, uses, cannotCreateIn } of needed) {
    const existing = server.roles.get(name);
    const role = identifier(name);
    const isOwner = AS_OWNER.some(use => uses.includes(use)) && !server.superuser && name !== server.user;
    const join = isOwner ? [`GRANT ${role} TO ${me};`] : [];
    if (!existing && !created.has(name)) {
      const global = globals?.roles.get(name);
      const memberships =
        globals?.memberships.filter(({ role, member }) => [role, member].includes(name)) ?? [];
      plan.problems.push({
        text: `role ${role} is missing`,
        statements: [
          global ? createRole(global) : `CREATE ROLE ${role};`,
          ...memberships.map(({ statement }) => statement),
          ...join,
        ],
      });
    } else if (isOwner && !existing) {
      plan.join.push(name);
    } else if (isOwner && existing?.attributes.includes('SUPERUSER')) {
      plan.problems.push({ text: `${me} may not give objects to the superuser ${role}`, statements: [] });
    } else if (isOwner && !existing?.usable) {
      plan.problems.push({ text: `${me} is not a member of ${role}, which owns objects`, statements: join });
    }
    if (server.superuser || name === server.user) continue;
    if (uses.includes('grantor'))
      plan.problems.push({ text: `${me} may not grant privileges in the name of ${role}`, statements: [] });
    if (isOwner && cannotCreateIn.length > 0) {
      const schemas = cannotCreateIn.map(identifier).join(', ');
      plan.problems.push({
        text: `${me} may not give objects in schema ${schemas} to ${role}, which may not create any there`,
        statements: [],
      });
    }
  }
  return plan;
}

/** https://www.postgresql.org/docs/16/role-attributes.html: since 16, one gives only what one has. */
function mayCreate({ major, superuser, user, roles }: Server, { attributes }: GlobalRole): boolean {
  if (superuser) return true;
  const mine = roles.get(user)?.attributes ?? [];
  if (!mine.includes('CREATEROLE') || attributes.has('SUPERUSER')) return false;
  const restricted: Attribute[] =
    major < 16 ? ['REPLICATION', 'BYPASSRLS'] : ['REPLICATION', 'BYPASSRLS', 'CREATEDB'];
  return restricted.every(each => !attributes.has(each) || (major >= 16 && mine.includes(each)));
}

/** @returns what roles that exist here lack compared with the backup, as statements; the restore changes none of them */
export function roleDifferences(
  { roles, user }: Server,
  globals: Globals,
  memberships: Set<string>,
): string[] {
  const attributes = [...globals.roles.values()].flatMap(({ name, attributes: wanted }) => {
    const has = roles.get(name)?.attributes;
    if (!has || name === user || has.includes('SUPERUSER')) return [];
    const changes = [
      ...[...wanted].filter(each => !has.includes(each)),
      ...has.filter(each => !wanted.has(each)).map(each => `NO${each}`),
    ];
    return changes.length > 0 ? [`ALTER ROLE ${identifier(name)} WITH ${changes.join(' ')};`] : [];
  });
  const missing = globals.memberships.filter(
    ({ role, member }) =>
      roles.has(role) &&
      roles.has(member) &&
      !roles.get(member)!.attributes.includes('SUPERUSER') &&
      !memberships.has(membershipKey(role, member)),
  );
  return [...attributes, ...missing.map(({ statement }) => statement)];
}

export const membershipKey = (role: string, member: string): string => JSON.stringify([role, member]);
