/** Makes both roles, after a look and a confirmation, and writes their passwords into the env file. */
import type { Result } from '../cli/command.ts';
import { confirm, requireTerminal } from '../cli/confirm.ts';
import type { Config } from '../config/config.ts';
import { refuseUnwritable, writeVariables } from '../config/env-file.ts';
import { initialPasswords } from '../config/initial-passwords.ts';
import { OperationalError, usageError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { preflight } from '../core/preflight.ts';
import { newSecret } from '../core/redact.ts';
import { giveRights } from './give-rights.ts';
import type { LimitedRoles } from './limited-roles.ts';
import { isDone, type RoleChanges, readRoleChanges } from './role-changes.ts';
import { serverFacts } from './server.ts';

/**
 * What database-roles.ts does. The caller holds the environment's lock, unless it only looks.
 *
 * @throws OperationalError where POSTGRES_USER is no superuser, the env file can't be written, or tables stay locked
 */
export async function changeRoles(
  config: Config,
  { yes, dryRun: looking }: { yes?: boolean; dryRun?: boolean },
): Promise<Result> {
  const { postgres } = config;
  const { database } = postgres;
  const roles = withPasswords(config);
  await preflight(
    async () => refuseNames(config),
    async () => {
      if ((await serverFacts(postgres)).superuser) return;
      throw new OperationalError(
        `${postgres.user} is no superuser, so it can't change owners`,
        'set POSTGRES_USER to one. Where the provider has none, its own user is the application’s role.',
      );
    },
    async () => {
      if (!looking && madeFor(config).length > 0) await refuseUnwritable(config.envFile);
    },
    async () => requireTerminal(yes || looking),
  );
  const changes = await readRoleChanges(postgres, database, config.roles);
  for (const note of changes.notes) log.warn(note);
  const text = describe(changes, config);
  if (looking) return { text, json: { dryRun: true, ...changes } };
  const made = madeFor(config);
  if (isDone(changes) && made.length === 0) return { text, json: { database, changed: false } };
  await confirm(text, database, yes);
  log.changesBegin();
  await giveRights(postgres, database, roles);
  // Last: until the file has them, nothing uses the roles, and the next run sets others.
  const passwords = { APP_DB_PASSWORD: roles.app.password!, BACKUP_DB_PASSWORD: roles.backup.password! };
  if (made.length > 0)
    await writeVariables(config.envFile, {
      ...initialPasswords(config, made),
      ...Object.fromEntries(made.map(name => [name, passwords[name]])),
    });
  const written = made.length > 0 ? `, and ${made.join(' and ')} in ${config.envFile}` : '';
  return {
    text: `${database}: ${roles.app.name} owns ${plural(changes.objects.length, 'object')} more, ${roles.backup.name} reads all${written}\n${NEXT}`,
    json: {
      database,
      changed: true,
      objects: changes.objects.length,
      notes: changes.notes,
      written: made,
    },
  };
}

type Made = 'APP_DB_PASSWORD' | 'BACKUP_DB_PASSWORD';

/** @returns the variables for which a password is made */
function madeFor({ roles: { app, backup } }: Config): Made[] {
  return [
    ...(app.password ? [] : ['APP_DB_PASSWORD' as const]),
    ...(backup.password ? [] : ['BACKUP_DB_PASSWORD' as const]),
  ];
}

function withPasswords({ roles: { app, backup } }: Config): LimitedRoles {
  const password = ({ password }: { password?: string }) => password ?? newSecret();
  return {
    app: { ...app, password: password(app) },
    backup: { ...backup, password: password(backup) },
  };
}

function refuseNames({ postgres: { user }, roles: { app, backup } }: Config): void {
  const names = [user, app.name, backup.name];
  if (new Set(names).size === 3) return;
  throw usageError(
    `POSTGRES_USER, APP_DB_USER and BACKUP_DB_USER are not three roles: ${names.join(', ')}`,
    'give APP_DB_USER and BACKUP_DB_USER names of their own.',
  );
}

const NEXT =
  'next: `./scripts/config.ts --write` writes DATABASE_URL with the role; deploy, so that the application uses it; then `./scripts/backup.ts`';

function describe(
  changes: RoleChanges,
  { postgres: { database, user }, roles: { app, backup } }: Config,
): string {
  if (isDone(changes))
    return `${database}: ${app.name} and ${backup.name} have their rights; nothing to change`;
  const { rights, passwords, objects, closedObjects } = changes;
  const kinds = new Map<string, number>();
  for (const { kind } of objects) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  return [
    `${database}: ${app.name} becomes the owner of ${plural(objects.length, 'object')} of ${user}`,
    ...[...kinds].map(([kind, number]) => `  ${number} × ${kind.toLowerCase()}`),
    ...rights.map(sql => `  ${sql};`),
    ...passwords.map(key => `  a password for ${key === 'app' ? app.name : backup.name};`),
    ...(closedObjects > 0
      ? [`  SELECT on ${plural(closedObjects, 'large object')} for ${backup.name};`]
      : []),
  ].join('\n');
}
