import type { Postgres } from '../config/config.ts';
import { percentEncoded } from '../core/format.ts';

/** @returns the URL of a database, for programs such as Prisma; it contains the password */
export function databaseUrl(postgres: Postgres, database: string): string {
  const secret = postgres.password ? `:${percentEncoded(postgres.password)}` : '';
  const host = postgres.container ? '127.0.0.1' : (postgres.host ?? 'localhost');
  const base = `postgresql://${percentEncoded(postgres.user)}${secret}`;
  if (host.startsWith('/')) {
    return `${base}@localhost:${postgres.port ?? 5432}/${percentEncoded(database)}?host=${percentEncoded(host)}`;
  }
  return `${base}@${host}:${postgres.port ?? 5432}/${percentEncoded(database)}`;
}
