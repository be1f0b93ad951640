/** Makes the roles of the application and of backups on a server that has data, while the application runs. */
import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { count } from '../core/format.ts';
import { log } from '../core/log.ts';
import { CommandError } from '../core/shell.ts';
import { sleep } from '../core/signals.ts';
import { identifier, literal } from './client.ts';
import type { LimitedRoles } from './limited-roles.ts';
import { isDone, type RoleChanges, readRoleChanges } from './role-changes.ts';
import { verifierOf } from './scram.ts';
import { openSession } from './session.ts';

/**
 * A table's new owner needs a lock that waits for all who use the table, and behind which all others wait: for a moment,
 * less than `deadlock_timeout`, so that no session of the application is chosen as a deadlock's victim. Then again.
 */
export const PATIENCE = { lockMilliseconds: 300, attempts: 60, pauseSeconds: 0.5 };

/** Objects of one transaction; each takes a lock, for which a server has room for some thousands. */
const AT_ONCE = 1000;

/* Gone since they were listed, or not there yet: the next list has the truth. */
const CHANGED = ['42P01', '42704', '42883', '3F000', '3D000', 'XX000'];
const BUSY = ['55P03', '40P01'];

/* Without functions of event triggers, which would act on each statement. */
const QUIET = `SET session_replication_role = replica; SET log_min_error_statement = panic`;

/**
 * Gives two roles their rights in a database, and the application's role what POSTGRES_USER owns. Ended at any point, it
 * has done a part that harms nothing, and the next run does the rest.
 *
 * @param postgres a superuser
 * @param roles passwords are set where the server does not take them; without one, none is set
 * @throws OperationalError where sessions hold the tables for too long; CommandError
 */
export async function giveRights(
  postgres: Postgres,
  database: string,
  roles: LimitedRoles,
  { lockMilliseconds, attempts, pauseSeconds } = PATIENCE,
): Promise<void> {
  let current = '';
  let before = '';
  const note = (statement: string) => {
    current = statement;
  };
  for (let failures = 0; ; ) {
    const changes = await readRoleChanges(postgres, database, roles);
    changes.passwords = changes.passwords.filter(key => roles[key].password);
    if (isDone(changes)) return;
    const now = JSON.stringify(changes);
    if (now === before) throw new Error(`the rights are not those that were given: ${now}`);
    const statements = statementsOf(changes, roles);
    try {
      await inTransaction(
        postgres,
        database,
        [`SET LOCAL lock_timeout = ${lockMilliseconds}`, ...statements],
        note,
      );
      before = now;
      const { length } = changes.objects;
      if (length > AT_ONCE) log.status(`${count(length - AT_ONCE)} objects are left`);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (![...BUSY, ...CHANGED].includes(error.reason ?? '')) throw error;
      if (++failures >= attempts) throw stillBusy(error, database, current);
      log.status(`waiting for a lock: ${current}`);
      await sleep(pauseSeconds);
    }
  }
}

/** @returns the statements of one transaction: the roles first, then as many objects as it has room for */
export function statementsOf(changes: RoleChanges, { app, backup }: LimitedRoles): string[] {
  const owner = identifier(app.name);
  const { rights, passwords, objects, closedObjects } = changes;
  return [
    ...rights,
    ...passwords.map(key => {
      const { name, password } = key === 'app' ? app : backup;
      return `ALTER ROLE ${identifier(name)} PASSWORD ${literal(verifierOf(password!))}`;
    }),
    ...objects.slice(0, AT_ONCE).map(({ kind, name }) => `ALTER ${kind} ${name} OWNER TO ${owner}`),
    ...(closedObjects > 0 ? [openLargeObjects(backup.name)] : []),
  ];
}

/** No predefined role reads large objects, and PostgreSQL before 18 has no default privileges for them. */
const openLargeObjects = (backup: string) => `DO $do$ DECLARE number oid; BEGIN
  FOR number IN SELECT oid FROM pg_largeobject_metadata WHERE NOT EXISTS (SELECT FROM aclexplode(lomacl)
      WHERE pg_get_userbyid(grantee) = ${literal(backup)} AND privilege_type = 'SELECT') LIMIT ${AT_ONCE} LOOP
    EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO %I', number, ${literal(backup)});
  END LOOP; END $do$`;

/** Through standard input: no statement is an argument, whose length is limited and which others see. */
async function inTransaction(
  postgres: Postgres,
  database: string,
  statements: string[],
  note: (statement: string) => void,
): Promise<void> {
  await using session = openSession(postgres, database);
  await session.execute(QUIET);
  await session.execute('BEGIN');
  for (const statement of statements) {
    note(statement);
    await session.execute(statement);
  }
  await session.execute('COMMIT');
}

const stillBusy = (error: CommandError, database: string, statement: string) =>
  new OperationalError(
    `the owners of ${database} could not all be changed: a lock was not free in time for ${statement}`,
    'what was done stays, and the application runs on. End long transactions (SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY 2), then repeat the command.',
    error.exitCode,
    { cause: error },
  );
