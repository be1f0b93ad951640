/** Variables of the database, and of the roles that connect to it. */
import {
  any,
  databaseName,
  existingDatabase,
  isDatabaseName,
  LIVE_NAME,
  port,
  readBy,
  text,
} from './types.ts';

const DATABASE_SCRIPTS = 'backup, restore, drill and health-check';
/** Begins with a letter, so that no name of PostgreSQL's own (pg_…) and no number is taken; needs no quotes anywhere. */
const roleName = text(
  'lower-case letters, digits and _, at most 63, beginning with a letter and not with pg_',
  /^(?!pg_)[a-z][a-z0-9_]{0,62}$/,
);

const INITIAL_READERS = 'docker compose, secrets, database-roles, init';

export const postgres = readBy(DATABASE_SCRIPTS, {
  POSTGRES_USER: {
    meaning: 'User to connect as. It must own the database and be allowed to create databases.',
    type: any,
    default: 'postgres',
    readBy: `docker compose, ${DATABASE_SCRIPTS}`,
  },
  POSTGRES_PASSWORD: {
    meaning:
      'Required by the stack. Can be empty for a server of your own that trusts the connections of this host.',
    type: any,
    readBy: `docker compose, ${DATABASE_SCRIPTS}`,
  },
  APP_DB_USER: {
    meaning:
      'The role that the application connects as: no superuser, owner of its schema. Default: <APP_NAME>, with _ for -. ' +
      'The stack makes it on a new server, database-roles on one that is there.',
    type: roleName,
    readBy: 'docker compose, config, database-roles, deploy, rollback, scale, restore, health-check',
  },
  APP_DB_PASSWORD: {
    meaning:
      'Its password. Empty: the application and migrations connect as POSTGRES_USER, which has more rights than they need. ' +
      'database-roles makes one.',
    type: any,
    readBy: 'docker compose, config, database-roles, deploy, rollback, scale, restore, health-check',
  },
  BACKUP_DB_USER: {
    meaning: 'The role that backups connect as: it reads everything and changes nothing.',
    type: roleName,
    default: 'backup',
    readBy: 'docker compose, database-roles, backup',
  },
  BACKUP_DB_PASSWORD: {
    meaning: 'Its password. Empty: backups connect as POSTGRES_USER. database-roles makes one.',
    type: any,
    readBy: 'docker compose, database-roles, backup',
  },
  INITIAL_POSTGRES_PASSWORD: {
    meaning:
      'The password that PostgreSQL’s container was created with, after POSTGRES_PASSWORD was replaced: Compose goes on ' +
      'giving it to the container, which would be replaced otherwise. secrets writes it, and removes it where there is no database.',
    type: any,
    emptyCounts: true,
    readBy: INITIAL_READERS,
  },
  INITIAL_APP_DB_PASSWORD: {
    meaning: 'The same of APP_DB_PASSWORD.',
    type: any,
    emptyCounts: true,
    readBy: INITIAL_READERS,
  },
  INITIAL_BACKUP_DB_PASSWORD: {
    meaning: 'The same of BACKUP_DB_PASSWORD.',
    type: any,
    emptyCounts: true,
    readBy: INITIAL_READERS,
  },
  POSTGRES_DB: {
    meaning:
      'The live database: at most 40 bytes, because a restore appends to the name. Default: <APP_NAME>_<environment>.',
    type: databaseName,
    readBy: `docker compose, prune-backups, ${DATABASE_SCRIPTS}`,
  },
  POSTGRES_MAINTENANCE_DB: {
    meaning:
      'The database to connect to for statements about databases and roles, such as CREATE DATABASE: one that exists ' +
      'beside POSTGRES_DB, and that the user may connect to.',
    type: existingDatabase,
    default: 'postgres',
  },
  POSTGRES_CONTAINER: {
    meaning:
      'Container in which scripts run the client programs, with `docker exec`. Default: <APP_NAME>-postgres-<environment>. ' +
      'Set, but empty: the client programs of this host, with PGHOST and PGPORT, for a managed database.',
    type: text('a container name, or empty for the client programs of this host', /^([\w][\w.-]*)?$/),
    emptyCounts: true,
  },
  PGHOST: {
    meaning: 'Only with an empty POSTGRES_CONTAINER: the server. Default: the local socket.',
    type: any,
  },
  PGUSER: {
    meaning:
      'Only with an empty POSTGRES_CONTAINER: the user, instead of POSTGRES_USER. The backup service sets it.',
    type: any,
  },
  PGPORT: { meaning: 'Only with an empty POSTGRES_CONTAINER: the server’s port. Default: 5432.', type: port },
});

/** @returns the name of an environment's live database, with the default of its Compose file */
export const databaseOf = (environment: string, given: { APP_NAME: string; POSTGRES_DB?: string }): string =>
  given.POSTGRES_DB ?? `${given.APP_NAME}_${environment}`;

/** @returns a line where the database’s name is made of APP_NAME, and is longer than POSTGRES_DB may be */
export function databaseProblems(
  environment: string,
  given: { APP_NAME: string; POSTGRES_DB?: string },
): string[] {
  if (given.POSTGRES_DB || isDatabaseName(databaseOf(environment, given), LIVE_NAME)) return [];
  const most = longestName(environment);
  return [
    `APP_NAME: at most ${most} characters in ${environment}, or set POSTGRES_DB: with _${environment} it is the database’s name, ` +
      `of at most ${LIVE_NAME} bytes`,
  ];
}

/** @returns the length of the longest APP_NAME of which the database’s name can be made */
export const longestName = (environment: string): number => LIVE_NAME - `_${environment}`.length;
