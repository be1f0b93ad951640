import { join } from 'node:path';
import type { LocalSource } from '../backup/fetch.ts';
import type { Postgres } from '../config/config.ts';
import { log } from '../core/log.ts';
import { sh } from '../core/shell.ts';
import { query, runSql } from '../postgres/client.ts';
import { maintenanceOf } from '../postgres/databases.ts';

/** One statement of pg_dumpall about a role: words, quoted names, and quoted strings. */
const ROLE_STATEMENT = /^(?:CREATE ROLE|ALTER ROLE|GRANT) (?:"(?:[^"]|"")*"|'(?:[^']|'')*'|[^"';])*;/gm;

/**
 * Creates the roles of the source's server that this server lacks, with their settings and memberships. They have no
 * passwords, because a backup has none. Row security policies refer to roles and can't be loaded without them.
 *
 * @throws CommandError where POSTGRES_USER may not create them
 */
export async function createMissingRoles(postgres: Postgres, source: LocalSource): Promise<void> {
  if (!source.manifest) return;
  const path = join(source.directory, source.manifest.globals.name);
  const script = await sh(`read ${path}`, { env: { GZIP: undefined } })`gzip -dc ${path}`;
  const roles = await query<{ name: string }>(
    postgres,
    maintenanceOf(postgres),
    'SELECT quote_ident(rolname) AS name FROM pg_roles',
  );
  const existing = new Set(roles.map(({ name }) => name));
  const statements = script.match(ROLE_STATEMENT) ?? [];
  const missing = statements
    .flatMap(statement => /^CREATE ROLE (.+);$/s.exec(statement)?.[1] ?? [])
    .filter(role => !existing.has(role));
  if (missing.length === 0) return;
  const isMissing = (statement: string) =>
    missing.some(
      role =>
        statement === `CREATE ROLE ${role};` ||
        statement.startsWith(`ALTER ROLE ${role} `) ||
        statement.startsWith(`GRANT ${role} TO `) ||
        (statement.startsWith('GRANT ') && new RegExp(` TO ${RegExp.escape(role)}[ ;]`).test(statement)),
    );
  // The grantor may not exist here, and only a superuser may write NOSUPERUSER and the like, which are defaults.
  const portable = (statement: string) =>
    statement.startsWith('GRANT ')
      ? statement.replace(/ GRANTED BY .*;$/s, ';')
      : statement.replaceAll(/ NO(SUPERUSER|REPLICATION|BYPASSRLS)(?=[ ;])/g, '');
  await runSql(postgres, maintenanceOf(postgres), statements.filter(isMissing).map(portable).join('\n'), {
    purpose: 'create the missing roles',
    hints: {
      42501: `create them by hand, as a superuser: ${missing.join(', ')}. The statements are in ${path}.`,
    },
  });
  log.warn(`created ${missing.join(', ')} without passwords, because a backup has none: set them`);
}
