import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { adviceFor, causeOf } from '../../scripts/lib/core/advice.ts';

const connection = (text: string) => `psql: error: connection to server at "db", port 5432 failed: ${text}`;

/** What a program wrote, its cause, and a word of the advice. */
const CASES: [stderr: string, cause: string, says: RegExp][] = [
  [
    'ERROR:  53200: out of shared memory\nHINT:  You might need to increase max_locks_per_transaction.',
    '53200',
    /max_locks/,
  ],
  ['pg_dump: error: query failed: ERROR:  out of shared memory', '53200', /max_locks/],
  ['ERROR:  42501: permission denied to create database', 'no create', /CREATEDB/],
  ['ERROR:  42501: keine Berechtigung, um Datenbank zu erzeugen', '42501', /lacks the right/],
  ['ERROR:  25006: cannot execute CREATE DATABASE in a read-only transaction', '25006', /standby/],
  [
    'pg_restore: error: could not execute query: ERROR:  cannot execute DROP TABLE during recovery',
    '25006',
    /standby/,
  ],
  [connection('FATAL:  password authentication failed for user "a"'), '28P01', /POSTGRES_PASSWORD/],
  [
    connection(
      'FATAL:  password authentication failed for user "a"\npassword retrieved from file "/root/.pgpass"',
    ),
    'password file',
    /that file/,
  ],
  [connection('fe_sendauth: no password supplied'), 'no password', /set POSTGRES_PASSWORD/],
  [
    connection('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", no encryption'),
    '28000',
    /pg_hba/,
  ],
  [connection('FATAL:  role "a" does not exist'), '28000', /POSTGRES_USER/],
  [connection('FATAL:  database "postgres" does not exist'), '3D000', /POSTGRES_MAINTENANCE_DB/],
  [
    connection(
      'FATAL:  permission denied for database "postgres"\nDETAIL:  User does not have CONNECT privilege.',
    ),
    'no connect',
    /GRANT CONNECT/,
  ],
  [connection('FATAL:  sorry, too many clients already'), '53300', /max_connections/],
  [
    connection('FATAL:  remaining connection slots are reserved for non-replication superuser connections'),
    '53300',
    /max_connections/,
  ],
  [connection('FATAL:  the database system is starting up'), '57P03', /wait/],
  [connection('FATAL:  unsupported startup parameter: options'), '08P01', /PgBouncer/],
  [
    connection('Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?'),
    'refused',
    /PGPORT/,
  ],
  [
    'psql: error: could not translate host name "nowhere" to address: Name or service not known',
    'unknown host',
    /PGHOST/,
  ],
  [connection('timeout expired'), 'no answer', /firewall/],
  ['ERROR:  57014: canceling statement due to statement timeout', '57014', /timeout/],
  ['pg_restore: error: could not execute query: ERROR:  role "a" does not exist', '42704', /create it/],
  ['ERROR:  08006: connection failure', '08006', /connection/],
  ['ERROR:  58P01: could not open file "base/5/16384": No such file or directory', '58P01', /dmesg/],
  ['ERROR:  53100: could not extend file: disk is full', '53100', /free some space/],
  ['gzip: stdout: No space left on device', '53100', /free some space/],
  [
    'Error: P3018\n\nA migration failed to apply.\n\nDatabase error code: 42501\n\nDatabase error:\nERROR: permission denied',
    '42501',
    /lacks/,
  ],
  [
    'Error response from daemon: No such container: app-postgres-production',
    'no container',
    /POSTGRES_CONTAINER/,
  ],
  ['Error response from daemon: container 0123abcd is not running', 'stopped', /docker logs/],
  [
    'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix',
    'docker denied',
    /group docker/,
  ],
  [
    'permission denied while trying to connect to the docker API at unix:///var/run/docker.sock',
    'docker denied',
    /group docker/,
  ],
  [
    'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
    'docker down',
    /systemctl status docker/,
  ],
  [
    'failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct',
    'docker down',
    /DOCKER_HOST/,
  ],
  [
    'OCI runtime exec failed: exec: "zstd": executable file not found in $PATH: unknown',
    'no program',
    /install/,
  ],
  ['bash: line 1: zstd: command not found', 'no program', /install/],
  ['Error response from daemon: manifest unknown: manifest unknown', 'registry', /tag/],
];

test('each cause has its own advice', () => {
  for (const [stderr, cause, says] of CASES) {
    assert.is(causeOf(stderr, 1), cause, stderr);
    assert.match(adviceFor(cause)!, says);
  }
});

test('what is not known is not guessed', () => {
  for (const stderr of [
    '',
    'it broke',
    'ERROR:  42P01: relation "t" does not exist',
    'ERROR:  XX000: cache lookup failed',
  ])
    assert.is(adviceFor(causeOf(stderr, 1)), undefined, stderr);
  assert.match(adviceFor(causeOf('', 137))!, /memory/);
});

test('data, statements and warnings that quote other errors do not choose the advice', () => {
  const quoting = [
    'Error response from daemon: tls: certificate signed by unknown authority',
    'ERROR:  23505: duplicate key value\nDETAIL:  Key (note)=(No space left on device) already exists.',
    'ERROR:  23514: check "No space left on device" is violated',
    "pg_restore: error: could not execute query: ERROR:  syntax error\nCommand was: COMMENT ON TABLE t IS 'no such container';",
    'pg_dump: warning: password authentication failed\npg_dump: error: something else',
    'ERROR:  22P02: invalid input\nCONTEXT:  COPY t, line 1\n  sorry, too many clients',
  ];
  for (const stderr of quoting) assert.is(adviceFor(causeOf(stderr, 1)), undefined, stderr);
});

test.run();
