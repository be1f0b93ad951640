import { z } from 'zod';
import { cronProblem } from './cron.ts';

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 };

const text = (what: string, pattern: RegExp) => z.string().regex(pattern, what);
const whole = (what: string, min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, what)
    .transform(Number)
    .refine(n => n >= min && n <= max, what);
const port = whole('a port number', 1, 65_535);
const flag = z.enum(['true', 'false'], 'true or false').transform(value => value === 'true');
const url = z.url({ protocol: /^https?$/, error: 'an http(s) URL' });
const span = text('a number above 0 and s, m, h or d, such as 4h', /^0*[1-9]\d{0,5}[smhd]$/).transform(
  value => Number(value.slice(0, -1)) * SECONDS[value.slice(-1) as keyof typeof SECONDS],
);

/** @returns whether PostgreSQL takes this name as it is, uncut */
export function isDatabaseName(name: string, bytes = 63): boolean {
  return name !== '' && Buffer.byteLength(name) <= bytes && !/[\0\n\r]/.test(name);
}

const image = text('an image’s name, with a tag or digest', /^[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?$/);
const cron = z.string().superRefine((value, context) => {
  const problem = value === 'off' ? undefined : cronProblem(value);
  if (problem) context.addIssue(`five fields of cron (UTC), such as 0 2 * * *, or off; here ${problem}`);
});

/*
 * PostgreSQL cuts names at 63 bytes; a restore appends `_before_<YYYYMMDD>_<HHMMSS>`, which must not be cut.
 */
const databaseName = z
  .string()
  .refine(name => isDatabaseName(name, 40), 'at most 40 bytes, without line breaks');

/** Every variable that a script reads. `.env.example` explains each. */
export const schema = z.object({
  APP_NAME: text('lower-case letters, digits, - and _', /^[a-z0-9][a-z0-9_-]{0,30}$/).default('neurmatic'),
  POSTGRES_USER: z.string().default('postgres'),
  POSTGRES_PASSWORD: z.string().optional(),
  POSTGRES_DB: databaseName.optional(),
  POSTGRES_CONTAINER: text(
    'a container name, or empty for the client programs of this host',
    /^([\w][\w.-]*)?$/,
  ).optional(),
  PGHOST: z.string().optional(),
  PGPORT: port.optional(),
  BACKUP_DIR: z.string().default('backups'),
  BACKUP_FORMAT: z.enum(['plain', 'custom'], 'plain or custom').default('plain'),
  BACKUP_RETENTION_DAYS: whole('whole days, at least 1', 1, 36_500).default(30),
  BACKUP_MIN_KEEP: whole('a whole number, at least 1', 1, 10_000).default(7),
  S3_BUCKET: text('a bucket name', /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/).optional(),
  S3_PREFIX: text('letters, digits, - _ . and /, not at an end', /^[\w.-]+(\/[\w.-]+)*$/).default('database'),
  S3_ENDPOINT: url.optional(),
  S3_FORCE_PATH_STYLE: flag.optional(),
  S3_CHECKSUMS: z.enum(['supported', 'required'], 'supported or required').default('supported'),
  S3_STORAGE_CLASS: text('a storage class, such as STANDARD_IA', /^[A-Z_0-9]+$/).default('STANDARD_IA'),
  S3_SSE: z.enum(['AES256', 'aws:kms'], 'AES256 or aws:kms').optional(),
  S3_SSE_KMS_KEY_ID: z.string().optional(),
  S3_TIMEOUT: span.default(60),
  S3_RETENTION_DAYS: whole('whole days, at least 1', 1, 36_500).default(90),
  AWS_REGION: text('a region, such as eu-west-3', /^[\w-]+$/).default('us-east-1'),
  AWS_ACCESS_KEY_ID: z.string().optional(),
  AWS_SECRET_ACCESS_KEY: z.string().optional(),
  LOG_DIR: z.string().default('logs'),
  STATE_DIR: z.string().default('state'),
  REDIS_PASSWORD: z.string().optional(),
  HTTPS_PORT: port.default(443),
  SCHEDULE_BACKUP: cron.default('0 2 * * *'),
  SCHEDULE_HEALTH_CHECK: cron.default('*/5 * * * *'),
  SCHEDULE_DRILL: cron.default('0 4 1 1,4,7,10 *'),
  SCHEDULE_MAILTO: text('an address or user name', /^[\w.@+-]+$/).optional(),
  SLACK_WEBHOOK_URL: url.optional(),
  WEBHOOK_URL: url.optional(),
  BACKUP_PING_URL: url.optional(),
  BACKEND_IMAGE: image.optional(),
  FRONTEND_IMAGE: image.optional(),
  MIGRATE_COMMAND: z.string().optional(),
  MIGRATIONS_DIR: z.string().default('prisma/migrations'),
  DEPLOY_READY_TIMEOUT: span.default(120),
  DEPLOY_BAKE_SECONDS: whole('whole seconds, at most 3600', 0, 3600).default(60),
  CANARY_REQUESTS: text(
    'paths that are safe to GET, separated by commas',
    /^\/[^\s,]*(,\/[^\s,]*)*$/,
  ).default('/api/v1/health'),
  SENTRY_URL: url.default('https://sentry.io'),
  SENTRY_ORG: text('letters, digits and -', /^[\w-]+$/).optional(),
  SENTRY_PROJECT: text('letters, digits and -', /^[\w-]+$/).optional(),
  SENTRY_AUTH_TOKEN: z.string().optional(),
  RTO_OBJECTIVE: span.default(4 * 3600),
  RPO_OBJECTIVE: span.default(24 * 3600),
});

export type Variables = z.infer<typeof schema>;

/** The names of all variables that scripts read. */
export const VARIABLES: string[] = Object.keys(schema.shape);

/** Variables whose values no output may show: those that are secrets, and addresses that carry one. */
export const SECRET =
  /(PASSWORD|SECRET|TOKEN|_KEY|_KEY_ID|_DSN|WEBHOOK_URL|PING_URL|^DATABASE_URL|^REDIS_URL)$/;
