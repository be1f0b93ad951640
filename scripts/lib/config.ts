import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'dotenv';
import { z } from 'zod';
import { messageOf, usageError } from './errors.ts';
import { hideSecrets } from './log.ts';

/** The repository's root: where .env files, backups/, logs/ and state/ are, whatever the working directory. */
export const ROOT = resolve(import.meta.dirname, '../..');

export const ENVIRONMENTS = ['production', 'staging'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 };

const text = (what: string, pattern: RegExp) => z.string().regex(pattern, what);
const whole = (what: string, min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, what)
    .transform(Number)
    .refine(n => n >= min && n <= max, what);
const flag = z.enum(['true', 'false'], 'true or false').transform(value => value === 'true');
const url = z.url({ protocol: /^https?$/, error: 'an http(s) URL' });
const span = text('a number above 0 and s, m, h or d, such as 4h', /^0*[1-9]\d{0,5}[smhd]$/).transform(
  value => Number(value.slice(0, -1)) * SECONDS[value.slice(-1) as keyof typeof SECONDS],
);

/** @returns whether PostgreSQL takes this name as it is, uncut */
export function isDatabaseName(name: string, bytes = 63): boolean {
  return name !== '' && Buffer.byteLength(name) <= bytes && !/[\0\n\r]/.test(name);
}

/*
 * PostgreSQL cuts names at 63 bytes; a restore appends `_before_<YYYYMMDD>_<HHMMSS>`, which must not be cut.
 */
const databaseName = z
  .string()
  .refine(name => isDatabaseName(name, 40), 'at most 40 bytes, without line breaks');

/** Every variable that a script reads. `.env.example` explains each. */
const schema = z.object({
  APP_NAME: text('lower-case letters, digits, - and _', /^[a-z0-9][a-z0-9_-]{0,30}$/).default('neurmatic'),
  POSTGRES_USER: z.string().default('postgres'),
  POSTGRES_PASSWORD: z.string().optional(),
  POSTGRES_DB: databaseName.optional(),
  POSTGRES_CONTAINER: text(
    'a container name, or empty for the client programs of this host',
    /^([\w][\w.-]*)?$/,
  ).optional(),
  PGHOST: z.string().optional(),
  PGPORT: whole('a port number', 1, 65_535).optional(),
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
  SLACK_WEBHOOK_URL: url.optional(),
  BACKUP_PING_URL: url.optional(),
  BACKEND_IMAGE: z.string().optional(),
  MIGRATE_COMMAND: z.string().optional(),
  RTO_OBJECTIVE: span.default(4 * 3600),
  RPO_OBJECTIVE: span.default(24 * 3600),
});

type Variables = z.infer<typeof schema>;

/** The names of all variables that scripts read. */
export const VARIABLES: string[] = Object.keys(schema.shape);

/** How PostgreSQL is reached: by `docker exec` into `container`, or by the client programs of this host. */
export interface Postgres {
  user: string;
  password?: string;
  /** The live database. */
  database: string;
  container?: string;
  /** With no container. Unset: libpq's default, a socket of this host. */
  host?: string;
  port?: number;
}

export interface S3Settings {
  bucket: string;
  prefix: string;
  endpoint?: string;
  pathStyle: boolean;
  checksums: 'supported' | 'required';
  storageClass: string;
  sse?: 'AES256' | 'aws:kms';
  kmsKeyId?: string;
  /** Seconds without an answer until a request counts as failed. */
  timeout: number;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  retentionDays: number;
}

export interface Config {
  environment: Environment;
  app: string;
  postgres: Postgres;
  backupDir: string;
  format: 'plain' | 'custom';
  retentionDays: number;
  minKeep: number;
  /** Undefined: no off-site copy is configured. */
  s3?: S3Settings;
  logDir: string;
  stateDir: string;
  slackWebhook?: string;
  pingUrl?: string;
  /** Undefined: no migrations are configured. */
  migrate?: { command: string; image?: string };
  /** Seconds. */
  rto: number;
  /** Seconds. */
  rpo: number;
}

/** @returns which environment a run is about: the flag, else `DEPLOY_ENV`, else production */
export function environmentOf(option: string | undefined): Environment {
  const value = option ?? (process.env.DEPLOY_ENV || 'production');
  const found = ENVIRONMENTS.find(name => name === value);
  if (!found)
    throw usageError(
      `no environment is called ${JSON.stringify(value)}`,
      `use --env ${ENVIRONMENTS.join(' or --env ')}.`,
    );
  return found;
}

/**
 * Reads and validates the configuration of one environment: the process environment over
 * `.env.<environment>` over defaults. An empty value counts as not set, but for `POSTGRES_CONTAINER`.
 *
 * @throws a usage error that lists every bad variable at once, without its value
 */
export function loadConfig(environment: Environment, processEnv: NodeJS.ProcessEnv = process.env): Config {
  const path = join(ROOT, `.env.${environment}`);
  const given: Record<string, string | undefined> = { ...readEnvFile(path), ...processEnv };
  const container = given.POSTGRES_CONTAINER;
  const set = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== '' && value !== undefined),
  );
  const parsed = schema.safeParse({ ...set, ...(container === '' ? { POSTGRES_CONTAINER: '' } : {}) });
  const problems = parsed.error?.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`) ?? [];
  if (set.S3_BUCKET) {
    for (const key of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) {
      if (!set[key]) problems.push(`${key}: needed, because S3_BUCKET is set`);
    }
  }
  if (!parsed.success || problems.length > 0) {
    const list = problems.map(problem => `\n  ${problem}`).join('');
    throw usageError(
      `the configuration of ${environment} has ${problems.length} bad value(s):${list}`,
      `correct them in ${path} or in the environment; .env.example explains each.`,
    );
  }
  return build(environment, parsed.data);
}

function readEnvFile(path: string): Record<string, string> {
  if (!existsSync(path)) return {};
  try {
    return parse(readFileSync(path));
  } catch (error) {
    throw usageError(
      `can't read ${path}: ${messageOf(error)}`,
      'run as the user who owns it, or correct its permissions.',
    );
  }
}

function build(environment: Environment, v: Variables): Config {
  hideSecrets([v.POSTGRES_PASSWORD, v.AWS_SECRET_ACCESS_KEY, v.SLACK_WEBHOOK_URL, v.BACKUP_PING_URL]);
  const container = v.POSTGRES_CONTAINER ?? `${v.APP_NAME}-postgres-${environment}`;
  const migrateCommand = v.MIGRATE_COMMAND ?? (v.BACKEND_IMAGE ? 'npx prisma migrate deploy' : undefined);
  return {
    environment,
    app: v.APP_NAME,
    postgres: {
      user: v.POSTGRES_USER,
      database: v.POSTGRES_DB ?? `${v.APP_NAME}_${environment}`,
      password: v.POSTGRES_PASSWORD,
      container: container || undefined,
      host: v.PGHOST,
      port: v.PGPORT,
    },
    backupDir: resolve(ROOT, v.BACKUP_DIR),
    format: v.BACKUP_FORMAT,
    retentionDays: v.BACKUP_RETENTION_DAYS,
    minKeep: v.BACKUP_MIN_KEEP,
    s3: v.S3_BUCKET ? s3Settings(v, v.S3_BUCKET) : undefined,
    logDir: resolve(ROOT, v.LOG_DIR),
    stateDir: resolve(ROOT, v.STATE_DIR),
    slackWebhook: v.SLACK_WEBHOOK_URL,
    pingUrl: v.BACKUP_PING_URL,
    migrate: migrateCommand ? { command: migrateCommand, image: v.BACKEND_IMAGE } : undefined,
    rto: v.RTO_OBJECTIVE,
    rpo: v.RPO_OBJECTIVE,
  };
}

function s3Settings(v: Variables, bucket: string): S3Settings {
  return {
    bucket,
    prefix: v.S3_PREFIX,
    endpoint: v.S3_ENDPOINT,
    pathStyle: v.S3_FORCE_PATH_STYLE ?? v.S3_ENDPOINT !== undefined,
    checksums: v.S3_CHECKSUMS,
    storageClass: v.S3_STORAGE_CLASS,
    sse: v.S3_SSE,
    kmsKeyId: v.S3_SSE_KMS_KEY_ID,
    timeout: v.S3_TIMEOUT,
    region: v.AWS_REGION,
    accessKeyId: v.AWS_ACCESS_KEY_ID!,
    secretAccessKey: v.AWS_SECRET_ACCESS_KEY!,
    retentionDays: v.S3_RETENTION_DAYS,
  };
}
