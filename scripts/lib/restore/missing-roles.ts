import { join } from 'node:path';
import type { LocalSource } from '../backup/fetch.ts';
import type { Postgres } from '../config/config.ts';
import { log } from '../core/log.ts';
import { run } from '../core/shell.ts';
import { query, runSql } from '../postgres/client.ts';

/** One statement of pg_dumpall about a role: words, and quoted names and strings that may hold anything. */
const ROLE_STATEMENT = /^(?:CREATE ROLE|ALTER ROLE|GRANT) (?:"(?:[^"]|"")*"|'(?:[^']|'')*'|[^"';])*;/gm;

/**
 * Creates the roles that the source's server had and this one lacks, with their settings and memberships, but
 * without passwords: a dump holds none. Row security policies refer to roles, and can't be loaded without.
 */
export async function createMissingRoles(postgres: Postgres, source: LocalSource): Promise<void> {
  if (!source.manifest) return;
  const path = join(source.directory, source.manifest.globals.name);
  const script = await run(['gzip', '-dc', path], { purpose: `read ${path}` });
  const roles = await query<{ name: string }>(
    postgres,
    'postgres',
    'SELECT quote_ident(rolname) AS name FROM pg_roles',
  );
  const existing = new Set(roles.map(({ name }) => name));
  const statements = script.match(ROLE_STATEMENT) ?? [];
  const missing = statements
    .flatMap(statement => /^CREATE ROLE (.+);$/s.exec(statement)?.[1] ?? [])
    .filter(role => !existing.has(role));
  if (missing.length === 0) return;
  const concerns = (statement: string) =>
    missing.some(
      role =>
        statement === `CREATE ROLE ${role};` ||
        statement.startsWith(`ALTER ROLE ${role} `) ||
        statement.startsWith(`GRANT ${role} TO `) ||
        (statement.startsWith('GRANT ') && new RegExp(` TO ${RegExp.escape(role)}[ ;]`).test(statement)),
    );
  // Who granted a membership may not exist here, and only a superuser may name what a new role lacks anyway.
  const portable = (statement: string) =>
    statement.startsWith('GRANT ')
      ? statement.replace(/ GRANTED BY .*;$/s, ';')
      : statement.replaceAll(/ NO(SUPERUSER|REPLICATION|BYPASSRLS)(?=[ ;])/g, '');
  await runSql(postgres, 'postgres', statements.filter(concerns).map(portable).join('\n'), {
    purpose: 'create the missing roles',
    hint: `create them by hand, as a superuser: ${missing.join(', ')}. ${path} says how.`,
  });
  log.warn(`created ${missing.join(', ')}: without passwords, which no backup holds; set them`);
}
