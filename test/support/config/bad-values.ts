const DAYS = 'whole days, at least 1';
const URL_ = 'an http(s) URL';
const SPAN = 'a number above 0 and s, m, h or d, such as 4h';
const CRON = 'five fields of cron (UTC), such as 0 2 * * *, or off; here ';
const LETTERS = 'letters, digits and -';
const HOST =
  'a host name such as acme.example: lower case, without https://, port, path or final dot; an international name in its xn-- form';
const IMAGE = 'an image’s name, with a tag or digest';

const ROLE = 'lower-case letters, digits and _, at most 63, beginning with a letter and not with pg_';

const USER = 'the number of a user who is not root';
const WRITABLE = 'an absolute path without a dot segment';
const LONG = 'at least 32 characters, without blanks';

/** No path of an application: also what would have a meaning in Nginx's configuration or in a shell. */
const PATHS = [
  'health',
  '/',
  '/health/',
  '//health',
  '/a/../b',
  '/.env',
  '/a b',
  '/a;',
  '/a{',
  '/$host',
  '/a?b',
  '/a`b',
  '/a\n/b',
];

const UPLOADS = [
  '/a',
  '/a:50',
  '/a:0m',
  '/a:50g',
  '/a:50m;',
  '/a:50m,',
  'a:50m',
  '/a:99999m',
  '/a:1m\n/b:1m',
];
const HASHES = [
  'secret',
  '$1$abcdefgh$0123456789012345678901',
  '$6$short',
  `$6$${'a'.repeat(20)}:admin`,
  `$6$${'a'.repeat(20)}\nroot:`,
];
const NETWORKS = [
  '0.0.0.0/0',
  '10.0.0.0/7',
  '::/0',
  '1.2.3',
  '1.2.3.256',
  '1.2.3.4;',
  'all',
  '10.0.0.0/8, 1.2.3.4',
  '1.2.3.4\nall',
];

/** What each variable must be, in the words that an operator reads, and values that it must not have. */
export const BAD: Record<string, [says: string, ...values: string[]]> = {
  APP_NAME: ['lower-case letters, digits, - and _', 'Bad Name!', '-app', 'x'.repeat(32)],
  // More of them, through nginx/settings.sh as well: test/nginx/settings.test.ts.
  DOMAIN: [HOST, 'acme.example;', 'https://acme.example', '*.acme.example', 'localhost'],
  API_DOMAIN: [HOST, '10.0.0.1', 'Api.acme.example', 'api.acme.example.'],
  APP_DB_USER: [ROLE, 'my-app', 'App', 'pg_app', '1app', 'a"b', 'x'.repeat(64)],
  BACKUP_DB_USER: [ROLE, 'back up', 'pg_backup'],
  POSTGRES_DB: ['at most 40 bytes, without line breaks', 'x'.repeat(41)],
  POSTGRES_MAINTENANCE_DB: ['at most 63 bytes, without line breaks', 'x'.repeat(64), 'a\nb'],
  POSTGRES_CONTAINER: ['a container name, or empty for the client programs of this host', '-rm', 'a b'],
  DATABASE_URL_OPTIONS: ['name=value, joined by &, percent-encoded', '?a=1', 'a=1&', 'a=1 ', 'a', 'a=$B'],
  PGPORT: ['a port number', '65536', '0', '5432x', '1e3', '-1'],
  BACKUP_FORMAT: ['plain or custom', 'tar', 'Plain'],
  BACKUP_LOCK_WAIT: [SPAN, '60', '0s'],
  LOAD_CHECK: ['auto or nightly or weekly or off', 'daily', 'true'],
  BACKUP_RETENTION_DAYS: [DAYS, '36501', '0', '1.5'],
  BACKUP_MIN_KEEP: ['a whole number, at least 1', '-1', '0', '10001'],
  S3_BUCKET: ['a bucket name', 'Bucket_X', 'ab', '.bucket'],
  S3_PREFIX: ['letters, digits, - _ . and /, not at an end', '/slashed/', 'a//b'],
  S3_ENDPOINT: [URL_, 'ftp://store.example', 'https:store.example', 'https://', 'store.example'],
  S3_FORCE_PATH_STYLE: ['true or false', 'yes', 'TRUE'],
  S3_CHECKSUMS: ['supported or required', 'always'],
  S3_STORAGE_CLASS: ['a storage class, such as STANDARD_IA', 'cold storage', 'standard'],
  S3_SSE: ['AES256 or aws:kms', 'rot13'],
  S3_TIMEOUT: [SPAN, '0s', '60', '1.5h', '1000000s'],
  S3_RETRY_TIME: [SPAN, '0s', '60'],
  S3_RETENTION_DAYS: [DAYS, '90 days'],
  AWS_REGION: ['a region, such as eu-west-3', 'eu west'],
  BACKUP_USER: [
    'uid:gid, such as 1000:1000',
    'deploy',
    '1000:',
    ':1000',
    '1000:1000:1000',
    '-1',
    '1000 1000',
  ],
  DEPLOY_AUTHORIZED_KEYS: [
    'public keys such as ssh-ed25519 AAAA… name',
    'AAAA',
    'ssh-ed25519 AAAA',
    `ssh-ed25519 ${'A'.repeat(68)},`,
    `command="id" ssh-ed25519 ${'A'.repeat(68)}`,
    `ssh-ed25519 ${'A'.repeat(68)} name\nssh-ed25519 ${'A'.repeat(68)}`,
    `ssh-dss ${'A'.repeat(68)}`,
  ],
  HTTPS_PORT: ['a port number', 'https'],
  CERTBOT_IMAGE: [IMAGE, 'Certbot/certbot:v5.5.0'],
  ACME_DIRECTORY_URL: [URL_, 'acme.example/directory'],
  ACME_EMAIL: ['a mail address', 'ops', 'ops@localhost', '-a@acme.example', 'a@acme.example,b@acme.example'],
  HEALTH_PATH: ['a path such as /health/ready', ...PATHS, 'none'],
  READY_PATH: ['a path such as /health/ready', ...PATHS],
  METRICS_PATH: ['a path such as /metrics, or none', ...PATHS, 'None'],
  UPLOAD_PATHS: ['paths, each with the size of a request, such as /api/v1/uploads:50m', ...UPLOADS],
  PUBLIC_PATHS: [
    'paths outside of /api and /socket.io, such as /webhooks,/oauth',
    ...PATHS,
    ...['/a,', ',/a', '/a, /b', '/api', '/API/v1', '/a,/api/v1', '/socket.io', '/a,/Socket.IO/x'],
  ],
  ADMIN_PATHS: ['paths such as /webhooks,/oauth', ...PATHS, '/a,,/b'],
  ADMIN_HASHED_PASSWORD: ['what `openssl passwd -6` prints, between single quotes', ...HASHES],
  ADMIN_ALLOW: ['addresses or networks, such as 203.0.113.7,10.8.0.0/16', ...NETWORKS],
  BACKEND_USER: [USER, 'node', '0', '1000:1000', '1001,mode=0'],
  FRONTEND_USER: [USER, 'nginx', '-1'],
  WRITABLE_DIR_1: [WRITABLE, 'logs', '/', '/app/', '/app/../etc', '/app:size=9g', '/app/./logs', '/a b'],
  WRITABLE_DIR_2: [WRITABLE, './uploads'],
  WRITABLE_DIR_3: [WRITABLE, '~/uploads'],
  BACKEND_PORT: ['a port number', '0', '3000 weight=2'],
  FRONTEND_PORT: ['a port number', '80;'],
  SCHEDULE_BACKUP: [`${CRON}unsupported syntax`, '@daily', '0 2 * *', 'OFF'],
  SCHEDULE_HEALTH_CHECK: [`${CRON}a field is not within 0-59`, '99 * * * *'],
  SCHEDULE_DRILL: [`${CRON}unsupported syntax`, '0 4 1 1,4,7,10 * *'],
  SCHEDULE_LOAD_CHECK: [`${CRON}unsupported syntax`, 'nightly'],
  SCHEDULE_CERTIFICATES: [`${CRON}unsupported syntax`, 'twice a day'],
  SCHEDULE_WEEKLY: [`${CRON}unsupported syntax`, 'sunday'],
  SCHEDULE_MAILTO: ['an address or user name', 'two words'],
  HOOK_TIMEOUT: [SPAN, 'a minute', '0s'],
  SLACK_WEBHOOK_URL: [URL_, 'hooks.example/secret'],
  WEBHOOK_URL: [URL_, 'https://exa mple/secret'],
  BACKUP_PING_URL: [URL_, 'javascript:secret'],
  BACKEND_IMAGE: [IMAGE, 'Owner/backend', 'owner/backend@sha256:123'],
  FRONTEND_IMAGE: [IMAGE, 'owner/front end'],
  DEPLOY_READY_TIMEOUT: [SPAN, 'two minutes'],
  DEPLOY_BAKE_SECONDS: ['whole seconds, at most 3600', '3601', '1m'],
  CANARY_REQUESTS: ['paths that are safe to GET, separated by commas', 'health', '/a, /b'],
  SENTRY_URL: [URL_, 'sentry.io/secret'],
  SENTRY_ORG: [LETTERS, 'my org'],
  SENTRY_PROJECT: [LETTERS, 'a/b'],
  BACKUP_SIGNING_KEY: [LONG, 'k'.repeat(31), `${'k'.repeat(32)} `],
  BACKUP_SIGNING_KEY_PREVIOUS: [LONG, 'secret'],
  RTO_OBJECTIVE: [SPAN, 'four hours'],
  RPO_OBJECTIVE: [SPAN, '24'],
};

/** Variables that may be anything. */
export const FREE = [
  'ACME_CA_FILE',
  ...['POSTGRES_USER', 'POSTGRES_PASSWORD', 'PGHOST', 'BACKUP_DIR', 'S3_SSE_KMS_KEY_ID', 'AWS_ACCESS_KEY_ID'],
  ...[
    'AWS_SECRET_ACCESS_KEY',
    'LOG_DIR',
    'STATE_DIR',
    'HOOKS_DIR',
    'REDIS_PASSWORD',
    'MIGRATE_COMMAND',
    'MIGRATIONS_DIR',
  ],
  ...[
    'SENTRY_AUTH_TOKEN',
    'AWS_SESSION_TOKEN',
    'APP_DB_PASSWORD',
    'BACKUP_DB_PASSWORD',
    'INITIAL_POSTGRES_PASSWORD',
    'INITIAL_APP_DB_PASSWORD',
    'INITIAL_BACKUP_DB_PASSWORD',
    'PGUSER',
    'DATABASE_URL',
    'REDIS_URL',
  ],
];
