/** What to do about the failure of a program, by its cause: an SQLSTATE, or a name where there is no code. */
import { DISK_FULL_HINT } from './errors.ts';
import { evidenceIn, sqlStateIn } from './program-output.ts';

const CREDENTIALS =
  'check POSTGRES_USER and POSTGRES_PASSWORD; for a backup BACKUP_DB_USER and BACKUP_DB_PASSWORD, which ./scripts/database-roles.ts sets';
const ADDRESS = 'check POSTGRES_CONTAINER, or without a container PGHOST and PGPORT';

/**
 * By SQLSTATE, class of SQLSTATE (two characters), or a name from {@link SIGNS}.
 * @see https://www.postgresql.org/docs/15/errcodes-appendix.html
 */
const ADVICE: Record<string, string> = {
  '08': `the connection to PostgreSQL failed or was lost: ${ADDRESS}, and see the server’s log.`,
  '08P01': 'PGHOST and PGPORT lead to a pooler such as PgBouncer: set them to PostgreSQL itself.',
  25006:
    'the server or role is read-only. Use the primary, not a standby; default_transaction_read_only must be off.',
  28000: `the server does not let this user in from here: ${CREDENTIALS}, and the server’s pg_hba.conf.`,
  '28P01': `${CREDENTIALS}. The server keeps the password that it was created with, until ALTER ROLE changes it.`,
  '3D000': 'check POSTGRES_DB and POSTGRES_MAINTENANCE_DB; `psql -l` lists the databases.',
  42501:
    'the user of POSTGRES_USER lacks the right that the message names: grant it, or use a user who has it.',
  42704: 'this server lacks what the message names, such as a role: create it, then try again.',
  53100: DISK_FULL_HINT,
  53200:
    'PostgreSQL ran out of memory. With a HINT on locks: raise max_locks_per_transaction and restart the server.',
  53300: 'all connections are in use: close some (SELECT * FROM pg_stat_activity), or raise max_connections.',
  '53': 'the server lacks a resource that the message names: see its log.',
  '55P03': 'another session holds a lock on it: SELECT * FROM pg_stat_activity, then try again.',
  55006: 'other sessions use it: SELECT * FROM pg_stat_activity, then try again.',
  57014:
    'the statement was cancelled: by a timeout of the role, the database or the server, or by an administrator.',
  '57P01': 'the server was stopped or the session was ended: see its log, then try again.',
  '57P03': 'the server is starting, stopping or recovering: wait, see its log, then try again.',
  '58': 'the server could not read or write its files: see its log and `dmesg`.',
  F0000: 'the server can’t read its configuration files: see its log.',
  XX001:
    'data on the server’s disk is damaged. Keep a copy of the data directory; restore the newest good backup.',
  XX002: 'an index is damaged: REINDEX it, and check the disk (`dmesg`).',
  'no create':
    'ALTER ROLE … CREATEDB, as a superuser, gives the user of POSTGRES_USER the right to create databases.',
  'no connect':
    'GRANT CONNECT ON DATABASE … TO the user of POSTGRES_USER, or set POSTGRES_MAINTENANCE_DB to another one.',
  'no password': 'the server asks for a password: set POSTGRES_PASSWORD.',
  'password file': 'POSTGRES_PASSWORD is empty, so that file is used: set the one or correct the other.',
  'unknown host': 'no address is known for this name: check PGHOST, and the name server.',
  refused: `nothing listens there: start PostgreSQL, or ${ADDRESS}.`,
  'no answer': `no answer in time: ${ADDRESS}, and the firewall.`,
  tls: 'the encrypted connection failed: check the certificates, PGSSLMODE and PGSSLROOTCERT.',
  'old program': 'update PostgreSQL’s client programs to the server’s version or later.',
  'no container':
    'start the stack with `docker compose up -d --wait`, or correct POSTGRES_CONTAINER and APP_NAME; `docker ps --all` lists the containers.',
  stopped:
    'the container is not running: `docker logs --tail 50 CONTAINER` says why, `docker start CONTAINER` starts it.',
  paused: 'the container is paused: `docker unpause CONTAINER`.',
  restarting: 'the container restarts again and again: `docker logs --tail 50 CONTAINER` says why.',
  'docker denied': 'run as root, or add this user to the group docker and log in again.',
  'no compose':
    'install Compose 2, Docker’s plugin: the package docker-compose-plugin, or docker-compose-v2.',
  'docker down': 'Docker does not answer: `systemctl status docker`, and check DOCKER_HOST.',
  registry: 'log in with `docker login`, and check that the image and tag exist.',
  'no docker': 'install Docker, or correct PATH.',
  'no program': 'install the program that the message names, or correct PATH.',
  killed: 'if nobody killed it, memory ran out: see `dmesg`.',
};

/*
 * For messages without a code: those of a connection that fails, pg_dump's and pg_restore's, Docker's. With a state, also
 * for a closer cause than that code.
 */
const SIGNS: [text: RegExp, cause: string, state?: string][] = [
  [/No space left on device/i, '53100'],
  [/permission denied to create database/, 'no create', '42501'],
  [/permission denied for database/, 'no connect', '42501'],
  [/password retrieved from file/, 'password file'],
  [/no password supplied/, 'no password'],
  [/password authentication failed/, '28P01'],
  [
    /pg_hba\.conf|(Peer|Ident) authentication failed|FATAL: +role ".*" does not exist|not permitted to log in/,
    '28000',
  ],
  [/FATAL: +database ".*" does not exist/, '3D000'],
  [/too many (clients|connections)|connection slots are reserved/, '53300'],
  [/database system is (starting up|shutting down|in recovery mode|not (yet )?accepting)/, '57P03'],
  [/unsupported startup parameter/, '08P01'],
  [/could not translate host name/, 'unknown host'],
  [/connect(ion)? to server.*(Connection refused|No such file or directory)/, 'refused'],
  [/connection to server .*(timeout expired|timed out|No route to host|unreachable)/, 'no answer'],
  [/SSL error|certificate verify failed|root certificate file|does not support SSL/, 'tls'],
  [
    /server closed the connection|could not receive data from server|terminating connection due to (admin|unexp)/,
    '57P01',
  ],
  [/server version mismatch/, 'old program'],
  [/ERROR: +out of shared memory/, '53200'],
  [/invalid page in block|could not read block/, 'XX001'],
  [/due to statement timeout|due to user request/, '57014'],
  [/due to lock timeout/, '55P03'],
  [/being accessed by other users/, '55006'],
  [/in a read-only transaction|during recovery/, '25006'],
  [/ERROR: +(permission denied|must be (owner|superuser|member))/, '42501'],
  [/ERROR: +role ".*" does not exist/, '42704'],
  [/no such container/i, 'no container'],
  [/container \S+ is not running/i, 'stopped'],
  [/container \S+ is paused/i, 'paused'],
  [/container \S+ is restarting/i, 'restarting'],
  [/permission denied while trying to connect to the docker/i, 'docker denied'],
  [/(cannot|failed to) connect to the docker/i, 'docker down'],
  [/^unknown flag: --file|'compose' is not a docker command/m, 'no compose'],
  [/\bdocker: (command )?not found|there is no docker on PATH/, 'no docker'],
  [/executable file not found|command not found/, 'no program'],
  [/unauthorized: |denied: requested access|no basic auth|manifest unknown/i, 'registry'],
];

/** @returns the cause of a failure: an SQLSTATE, or a name; undefined: it is not known */
export function causeOf(stderr: string, status?: number | null): string | undefined {
  const code = sqlStateIn(stderr);
  const evidence = evidenceIn(stderr);
  const sign = SIGNS.find(([text, , state]) => (!code || state === code) && text.test(evidence));
  if (code || sign) return sign?.[1] ?? code;
  return status === 137 ? 'killed' : undefined;
}

/**
 * @param stderr names the container, where the advice is about one
 * @returns what to do about a cause, if that is known
 */
export function adviceFor(cause: string | undefined, stderr = ''): string | undefined {
  const advice =
    cause && (ADVICE[cause] ?? (/^[0-9A-Z]{5}$/.test(cause) ? ADVICE[cause.slice(0, 2)] : undefined));
  const container = /container ([\w.-]+) is /i.exec(stderr)?.[1];
  return container ? advice?.replaceAll('CONTAINER', container) : advice;
}
