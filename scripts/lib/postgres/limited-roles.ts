/** The roles of the application and of backups, which have fewer rights than POSTGRES_USER. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, type Postgres, ROOT } from '../config/config.ts';
import { identifier } from './client.ts';

/** Who the two are, and their passwords. */
export interface LimitedRoles {
  app: { name: string; password?: string };
  backup: { name: string; password?: string };
}

/** @returns how backups connect: as their own role where it has a password, else as POSTGRES_USER */
export function backupPostgres({
  postgres,
  roles: { backup },
}: Pick<Config, 'postgres' | 'roles'>): Postgres {
  return backup.password ? { ...postgres, user: backup.name, password: backup.password } : postgres;
}

/** @returns how migrations connect: as the application does */
export function appPostgres({ postgres, roles: { app } }: Pick<Config, 'postgres' | 'roles'>): Postgres {
  return app.password ? { ...postgres, user: app.name, password: app.password } : postgres;
}

/** @returns the statements of postgres/roles.psql for these names */
export function roleStatements(database: string, { app, backup }: LimitedRoles): string[] {
  const names: Record<string, string> = { app: app.name, backup: backup.name, database };
  return readFileSync(join(ROOT, 'postgres/roles.psql'), 'utf8')
    .replaceAll(/^--.*\n/gm, '')
    .replaceAll(/:"(\w+)"/g, (_, name: string) => identifier(names[name]!))
    .split(';')
    .map(statement => statement.trim())
    .filter(statement => statement !== '');
}
