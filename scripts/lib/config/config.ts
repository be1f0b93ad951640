import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'dotenv';
import { getDotPath, safeParse } from 'valibot';
import { messageOf, usageError } from '../core/errors.ts';
import { hideSecrets } from '../core/log.ts';
import { SECRET, schema, VARIABLES, type Variables } from './variables.ts';

/** The repository's root: where .env files, backups/, logs/ and state/ are, whatever the working directory. */
export const ROOT = resolve(import.meta.dirname, '../../..');

export const ENVIRONMENTS = ['production', 'staging'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

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

/** Scripts that recur, each when its SCHEDULE_ variable says: five fields of cron in UTC, or `off`. */
export type Job = 'backup' | 'drill' | 'health-check';

/** The two images that a release is made of. */
export interface Images {
  backend: string;
  frontend: string;
}

export interface DeploySettings {
  /** Seconds until a new instance must be ready. */
  readyTimeout: number;
  /** Seconds that a new release is watched. */
  bakeSeconds: number;
  /** Paths that the canary asks the API for. */
  canaryPaths: string[];
  /** Of the backend's image, relative to its working directory. */
  migrationsDir: string;
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
  /** With no container of its own: undefined, not configured. */
  redisPassword?: string;
  /** Where this server's Nginx is published. */
  httpsPort: number;
  schedule: Record<Job, string>;
  /** Who gets the mails of cron. */
  mailTo?: string;
  slackWebhook?: string;
  webhook?: string;
  pingUrl?: string;
  /** Of the stack; as .env.<environment> names them, tag or digest included. */
  images?: Images;
  deploy: DeploySettings;
  sentry?: { url: string; organization: string; project: string; token: string };
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
  const file = readEnvFile(path);
  const given: Record<string, string | undefined> = { ...file, ...processEnv };
  const container = given.POSTGRES_CONTAINER;
  const set = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== '' && value !== undefined),
  );
  hideSecrets(
    Object.keys(file)
      .concat(VARIABLES)
      .filter(name => SECRET.test(name))
      .map(name => given[name]),
  );
  const parsed = safeParse(schema, { ...set, ...(container === '' ? { POSTGRES_CONTAINER: '' } : {}) });
  const problems = parsed.issues?.map(issue => `${getDotPath(issue)}: ${issue.message}`) ?? [];
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
  return build(environment, parsed.output);
}

/** @returns what stands in an env file, as Compose reads it; with no file, nothing */
export function readEnvFile(path: string): Record<string, string> {
  if (!existsSync(path)) return {};
  try {
    const values = Object.entries(parse(readFileSync(path)));
    // Between single quotes Compose takes \' for a quote, and dotenv leaves the backslash.
    return Object.fromEntries(values.map(([name, value]) => [name, value.replaceAll("\\'", "'")]));
  } catch (error) {
    throw usageError(
      `can't read ${path}: ${messageOf(error)}`,
      'run as the user who owns it, or correct its permissions.',
    );
  }
}

function build(environment: Environment, v: Variables): Config {
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
    redisPassword: v.REDIS_PASSWORD,
    httpsPort: v.HTTPS_PORT,
    schedule: {
      backup: v.SCHEDULE_BACKUP,
      'health-check': v.SCHEDULE_HEALTH_CHECK,
      drill: v.SCHEDULE_DRILL,
    },
    mailTo: v.SCHEDULE_MAILTO,
    slackWebhook: v.SLACK_WEBHOOK_URL,
    webhook: v.WEBHOOK_URL,
    pingUrl: v.BACKUP_PING_URL,
    images:
      v.BACKEND_IMAGE && v.FRONTEND_IMAGE
        ? { backend: v.BACKEND_IMAGE, frontend: v.FRONTEND_IMAGE }
        : undefined,
    deploy: {
      readyTimeout: v.DEPLOY_READY_TIMEOUT,
      bakeSeconds: v.DEPLOY_BAKE_SECONDS,
      canaryPaths: v.CANARY_REQUESTS.split(','),
      migrationsDir: v.MIGRATIONS_DIR,
    },
    sentry:
      v.SENTRY_ORG && v.SENTRY_PROJECT && v.SENTRY_AUTH_TOKEN
        ? {
            url: v.SENTRY_URL,
            organization: v.SENTRY_ORG,
            project: v.SENTRY_PROJECT,
            token: v.SENTRY_AUTH_TOKEN,
          }
        : undefined,
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
