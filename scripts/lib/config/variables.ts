import * as v from 'valibot';
import { cronProblem } from '../core/cron.ts';

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 };

/*
 * Every check has words of its own: what stands in a message of valibot's own may be the value. A default is
 * written as it would be in a file and is checked like one.
 */
const text = (what: string, pattern: RegExp) => v.pipe(v.string(), v.regex(pattern, what));
const choice = <const T extends string[]>(...values: T) => v.picklist(values, values.join(' or '));
const whole = (what: string, min: number, max: number) =>
  v.pipe(
    text(what, /^\d{1,9}$/),
    v.transform(Number),
    v.check(n => n >= min && n <= max, what),
  );
const port = whole('a port number', 1, 65_535);
const flag = v.pipe(
  choice('true', 'false'),
  v.transform(value => value === 'true'),
);
const url = v.pipe(
  v.string(),
  v.trim(),
  v.check(value => /^https?:\/\//i.test(value) && URL.canParse(value), 'an http(s) URL'),
);
const span = v.pipe(
  text('a number above 0 and s, m, h or d, such as 4h', /^0*[1-9]\d{0,5}[smhd]$/),
  v.transform(value => Number(value.slice(0, -1)) * SECONDS[value.slice(-1) as keyof typeof SECONDS]),
);

/** @returns whether PostgreSQL takes this name as it is, uncut */
export function isDatabaseName(name: string, bytes = 63): boolean {
  return name !== '' && Buffer.byteLength(name) <= bytes && !/[\0\n\r]/.test(name);
}

const image = text('an image’s name, with a tag or digest', /^[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?$/);

/** Its default is not checked: that would load the parser of expressions at the start of every script. */
const cron = (standard: string) => {
  const problemOf = (value: string) =>
    value === 'off' || value === standard ? undefined : cronProblem(value);
  return v.optional(
    v.pipe(
      v.string(),
      v.check(
        value => problemOf(value) === undefined,
        ({ input }) => `five fields of cron (UTC), such as 0 2 * * *, or off; here ${problemOf(input) ?? ''}`,
      ),
    ),
    standard,
  );
};

/*
 * PostgreSQL cuts names at 63 bytes; a restore appends `_before_<YYYYMMDD>_<HHMMSS>`, which must not be cut.
 */
const databaseName = v.pipe(
  v.string(),
  v.check(name => isDatabaseName(name, 40), 'at most 40 bytes, without line breaks'),
);

/** Every variable that a script reads. `.env.example` explains each. */
export const schema = v.object({
  APP_NAME: v.optional(
    text('lower-case letters, digits, - and _', /^[a-z0-9][a-z0-9_-]{0,30}$/),
    'neurmatic',
  ),
  POSTGRES_USER: v.optional(v.string(), 'postgres'),
  POSTGRES_PASSWORD: v.optional(v.string()),
  POSTGRES_DB: v.optional(databaseName),
  POSTGRES_CONTAINER: v.optional(
    text('a container name, or empty for the client programs of this host', /^([\w][\w.-]*)?$/),
  ),
  PGHOST: v.optional(v.string()),
  PGPORT: v.optional(port),
  BACKUP_DIR: v.optional(v.string(), 'backups'),
  BACKUP_FORMAT: v.optional(choice('plain', 'custom'), 'plain'),
  BACKUP_RETENTION_DAYS: v.optional(whole('whole days, at least 1', 1, 36_500), '30'),
  BACKUP_MIN_KEEP: v.optional(whole('a whole number, at least 1', 1, 10_000), '7'),
  S3_BUCKET: v.optional(text('a bucket name', /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/)),
  S3_PREFIX: v.optional(
    text('letters, digits, - _ . and /, not at an end', /^[\w.-]+(\/[\w.-]+)*$/),
    'database',
  ),
  S3_ENDPOINT: v.optional(url),
  S3_FORCE_PATH_STYLE: v.optional(flag),
  S3_CHECKSUMS: v.optional(choice('supported', 'required'), 'supported'),
  S3_STORAGE_CLASS: v.optional(text('a storage class, such as STANDARD_IA', /^[A-Z_0-9]+$/), 'STANDARD_IA'),
  S3_SSE: v.optional(choice('AES256', 'aws:kms')),
  S3_SSE_KMS_KEY_ID: v.optional(v.string()),
  S3_TIMEOUT: v.optional(span, '60s'),
  S3_RETENTION_DAYS: v.optional(whole('whole days, at least 1', 1, 36_500), '90'),
  AWS_REGION: v.optional(text('a region, such as eu-west-3', /^[\w-]+$/), 'us-east-1'),
  AWS_ACCESS_KEY_ID: v.optional(v.string()),
  AWS_SECRET_ACCESS_KEY: v.optional(v.string()),
  LOG_DIR: v.optional(v.string(), 'logs'),
  STATE_DIR: v.optional(v.string(), 'state'),
  REDIS_PASSWORD: v.optional(v.string()),
  HTTPS_PORT: v.optional(port, '443'),
  SCHEDULE_BACKUP: cron('0 2 * * *'),
  SCHEDULE_HEALTH_CHECK: cron('*/5 * * * *'),
  SCHEDULE_DRILL: cron('0 4 1 1,4,7,10 *'),
  SCHEDULE_MAILTO: v.optional(text('an address or user name', /^[\w.@+-]+$/)),
  SLACK_WEBHOOK_URL: v.optional(url),
  WEBHOOK_URL: v.optional(url),
  BACKUP_PING_URL: v.optional(url),
  BACKEND_IMAGE: v.optional(image),
  FRONTEND_IMAGE: v.optional(image),
  MIGRATE_COMMAND: v.optional(v.string()),
  MIGRATIONS_DIR: v.optional(v.string(), 'prisma/migrations'),
  DEPLOY_READY_TIMEOUT: v.optional(span, '2m'),
  DEPLOY_BAKE_SECONDS: v.optional(whole('whole seconds, at most 3600', 0, 3600), '60'),
  CANARY_REQUESTS: v.optional(
    text('paths that are safe to GET, separated by commas', /^\/[^\s,]*(,\/[^\s,]*)*$/),
    '/api/v1/health',
  ),
  SENTRY_URL: v.optional(url, 'https://sentry.io'),
  SENTRY_ORG: v.optional(text('letters, digits and -', /^[\w-]+$/)),
  SENTRY_PROJECT: v.optional(text('letters, digits and -', /^[\w-]+$/)),
  SENTRY_AUTH_TOKEN: v.optional(v.string()),
  RTO_OBJECTIVE: v.optional(span, '4h'),
  RPO_OBJECTIVE: v.optional(span, '24h'),
});

export type Variables = v.InferOutput<typeof schema>;

/** The names of all variables that scripts read. */
export const VARIABLES: string[] = Object.keys(schema.entries);

/** Variables whose values no output may show: those that are secrets, and addresses that carry one. */
export const SECRET =
  /(PASSWORD|SECRET|TOKEN|_KEY|_KEY_ID|_DSN|WEBHOOK_URL|PING_URL|^DATABASE_URL|^REDIS_URL)$/;
