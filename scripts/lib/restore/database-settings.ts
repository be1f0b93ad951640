/** Settings of a database that POSTGRES_USER may not give to another one. */
import type { Source } from '../backup/source.ts';
import type { Postgres } from '../config/config.ts';
import { log } from '../core/log.ts';
import { literal } from '../postgres/client.ts';
import { type Properties, readProperties, settingStatement } from '../postgres/database-properties.ts';
import { maintenanceOf } from '../postgres/databases.ts';
import { query, queryOf } from '../postgres/query.ts';
import type { ServerFacts } from '../postgres/server.ts';

export type Setting = Properties['settings'][number];

/** Since 15, a superuser can allow a parameter: https://www.postgresql.org/docs/current/ddl-priv.html */
const maySet = (major: number) => (major >= 15 ? `has_parameter_privilege(name, 'SET')` : `name LIKE '%.%'`);

/** Since 16, CREATEROLE is for roles that one is an administrator of. */
const mayAlter = (major: number) =>
  `rolcreaterole${major >= 16 ? ` AND pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION')` : ''}`;

/**
 * @param live the database whose settings the restored one gets; undefined: those of the manifest
 * @returns the settings that it can't get, which a warning has said, with the statements of a superuser
 */
export async function sayDeniedSettings(
  postgres: Postgres,
  { superuser, major }: ServerFacts,
  live: string | undefined,
  { manifest }: Source,
): Promise<Setting[]> {
  if (superuser) return [];
  const { settings = [] } = live
    ? await readProperties(queryOf(postgres, maintenanceOf(postgres)), live)
    : (manifest?.properties ?? {});
  if (settings.length === 0) return [];
  const rows = settings.map(
    ({ name, role }, index) => `(${index}, ${literal(name)}, ${role === null ? 'NULL' : literal(role)})`,
  );
  const found = await query<{ index: number }>(
    postgres,
    maintenanceOf(postgres),
    `SELECT index FROM (VALUES ${rows.join(', ')}) AS wanted (index, name, role)
       LEFT JOIN pg_roles r ON rolname = role, (SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user) AS me
     WHERE NOT (EXISTS (SELECT FROM pg_settings s WHERE s.name = lower(wanted.name) AND context IN ('user', 'backend')) OR ${maySet(major)})
       OR (r.oid IS NOT NULL AND role <> current_user AND NOT (me.${mayAlter(major)}))`,
  );
  const denied = found.map(({ index }) => settings[index]!);
  if (denied.length > 0) {
    const statements = denied.map(setting => `\n      ${settingStatement(postgres.database, setting)};`);
    log.warn(
      `${postgres.user} may not set all that the database has, so the restored one is without these settings. After the restore, run as a superuser:${statements.join('')}`,
    );
  }
  return denied;
}
