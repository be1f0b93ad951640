/** What a user who is no superuser can't dump, though it reads all tables. */
import type { Config, Postgres } from '../config/config.ts';
import { Interrupted, OperationalError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { CommandError } from '../core/shell.ts';
import { backupPostgres } from '../postgres/limited-roles.ts';
import { type Query, queryOf } from '../postgres/query.ts';

/* As PostgreSQL's own check, which pg_read_all_data does not pass: https://www.postgresql.org/docs/15/lo-implementation.html */
const LARGE_OBJECTS = `SELECT count(*)::int AS closed FROM pg_largeobject_metadata
  WHERE current_setting('lo_compat_privileges') = 'off' AND NOT pg_has_role(lomowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM aclexplode(lomacl) WHERE privilege_type = 'SELECT' AND (grantee = 0 OR pg_has_role(grantee, 'USAGE')))`;

/* pg_dump leaves out subscriptions, and options of user mappings that the view does not show to the user. */
const LEFT_OUT = `SELECT 'subscription ' || quote_ident(subname) AS name FROM pg_subscription
    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION ALL SELECT 'user mapping of ' || quote_ident(v.usename) || ' for ' || quote_ident(v.srvname) FROM pg_user_mappings v
    JOIN pg_user_mapping m ON m.oid = v.umid WHERE m.umoptions IS NOT NULL AND v.umoptions IS NULL ORDER BY 1`;

/** The server answers, and does not let the role in. */
const NOT_LET_IN =
  /FATAL: +(?:role ".*" (?:does not exist|is not permitted to log in)|(?:password|Peer|Ident) authentication failed|permission denied for database)/;

/**
 * A backup at night must not be missing because the application has created a large object, or the role is not there.
 *
 * @returns how a backup connects: as the role of backups where that can dump everything, else as POSTGRES_USER, where it is
 *   known, with a warning
 * @throws Interrupted
 */
export async function whoBacksUp(config: Config): Promise<{ postgres: Postgres; warnings: string[] }> {
  const role = backupPostgres(config);
  if (role.user === config.postgres.user) return { postgres: role, warnings: [] };
  try {
    await refuseIncomplete(queryOf(role, role.database), role.user, true);
    return { postgres: role, warnings: [] };
  } catch (error) {
    if (!(error instanceof OperationalError) || error instanceof Interrupted) throw error;
    // Whatever else is wrong with the server, POSTGRES_USER meets it, too.
    if (error instanceof CommandError && !NOT_LET_IN.test(error.stderr))
      return { postgres: role, warnings: [] };
    const { user } = config.postgres;
    const warning = `${error.message}: this backup connects as ${user} instead\n  → ${error.hint}`;
    log.warn(warning);
    return { postgres: config.postgres, warnings: [warning] };
  }
}

/**
 * Refuses a dump that would fail at large objects. A dump by the role of backups would also lack objects without an
 * error, which the superuser's has.
 *
 * @param isOwnRole whether backups connect as BACKUP_DB_USER
 * @throws OperationalError with what to do
 */
export async function refuseIncomplete(query: Query, user: string, isOwnRole: boolean): Promise<void> {
  const [row] = await query<{ closed: number }>(LARGE_OBJECTS);
  const { closed } = row!;
  if (closed > 0)
    throw new OperationalError(
      `${user} may not read ${plural(closed, 'large object')}`,
      isOwnRole
        ? './scripts/database-roles.ts grants it. PostgreSQL before 18 has no default privileges for them: where the application creates such objects, let it GRANT SELECT ON LARGE OBJECT, or leave BACKUP_DB_PASSWORD empty.'
        : `GRANT SELECT ON LARGE OBJECT … TO ${user}, as their owner.`,
    );
  if (!isOwnRole) return;
  const names = (await query<{ name: string }>(LEFT_OUT)).map(({ name }) => name);
  if (names.length > 0)
    throw new OperationalError(
      `only a superuser can dump ${names.join(', ')}, so a backup by ${user} would lack them`,
      'leave BACKUP_DB_PASSWORD empty: backups then connect as POSTGRES_USER.',
    );
}
