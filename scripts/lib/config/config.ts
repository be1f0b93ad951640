import { join, resolve } from 'node:path';
import { usageError } from '../core/errors.ts';
import { hideSecrets } from '../core/redact.ts';
import { databaseOf, databaseProblems } from './database-variables.ts';
import { type EnvFile, readEnvFile, readEnvText, valuesIfReadable } from './env-file.ts';
import { siteOf, siteProblems } from './site.ts';
import { readVariables, secretsOf, VARIABLES, type Variables } from './variables.ts';

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
  /** The database to connect to for statements about databases and roles. Unset: `postgres`. */
  maintenance?: string;
  container?: string;
  /** With no container. Unset: libpq's default, a socket of this host. */
  host?: string;
  port?: number;
  /** Programs run with a low priority, on one connection and without parallel workers: visitors come first. */
  gentle?: boolean;
}

export type Config = ReturnType<typeof build>;
export type S3Settings = NonNullable<Config['s3']>;
/** Scripts that recur, each at the times of its SCHEDULE_ variable. */
export type Job = keyof Config['schedule'];
/** The two images of a release. */
export type Images = NonNullable<Config['images']>;

/**
 * @returns the environment of a run: the flag's, else `DEPLOY_ENV`, else production
 * @throws a usage error for any other name
 */
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
 * `.env.<environment>` over defaults. An empty value counts as not set, except for `POSTGRES_CONTAINER`.
 *
 * @throws a usage error that lists every bad variable at once, without its value
 */
export function loadConfig(environment: Environment, processEnv: NodeJS.ProcessEnv = process.env): Config {
  return checked(environment, configurationOf(environment, processEnv));
}

/**
 * @returns the configuration that an env file of this text would be, in an environment without variables
 * @throws as {@link loadConfig}
 */
export function configOfText(environment: Environment, text: string): Config {
  return checked(environment, judged(environment, readEnvText(text), {}));
}

function checked(environment: Environment, { path, values, problems }: ReturnType<typeof judged>): Config {
  if (problems.length > 0) {
    const list = problems.map(problem => `\n  ${problem}`).join('');
    throw usageError(
      `the configuration of ${environment} has ${problems.length} bad value(s):${list}`,
      `correct them in ${path} or in the environment; .env.example explains each.`,
    );
  }
  return build(environment, path, values);
}

/**
 * @returns the variables of one environment: those of its file, those that hold, and all that is wrong, which never shows
 *   a value
 * @throws a usage error where the file can't be read
 */
export function configurationOf(environment: Environment, processEnv: NodeJS.ProcessEnv) {
  const path = envFileOf(environment);
  hideSecrets(secretsOf(valuesIfReadable(appFileOf(path))));
  return judged(environment, readEnvFile(path), processEnv);
}

function judged(
  environment: Environment,
  { values: file, problems: unclear }: EnvFile,
  processEnv: NodeJS.ProcessEnv,
) {
  const path = envFileOf(environment);
  const given = { ...file, ...processEnv };
  // Of the process's variables only those that scripts read: others are no concern of theirs.
  hideSecrets(
    secretsOf(Object.fromEntries([...Object.keys(file), ...VARIABLES].map(name => [name, given[name]]))),
  );
  const { values, problems } = readVariables(given);
  problems.unshift(...unclear);
  problems.push(...siteProblems(siteOf(environment, values)));
  if (given.BACKUP_SIGNING_KEY_PREVIOUS && !given.BACKUP_SIGNING_KEY)
    problems.push('BACKUP_SIGNING_KEY: needed, because BACKUP_SIGNING_KEY_PREVIOUS is set');
  const isRefused = (name: string) => problems.some(problem => problem.startsWith(`${name}:`));
  if (!isRefused('APP_NAME')) problems.push(...databaseProblems(environment, values));
  if (given.ADMIN_PATHS && !isRefused('ADMIN_PATHS') && !given.ADMIN_HASHED_PASSWORD && !given.ADMIN_ALLOW)
    problems.push('ADMIN_PATHS: needs ADMIN_HASHED_PASSWORD or ADMIN_ALLOW, or everybody reaches them');
  if (given.S3_BUCKET) {
    for (const key of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) {
      if (!given[key]) problems.push(`${key}: needed, because S3_BUCKET is set`);
    }
    // A token belongs to one key: with another one, the store refuses both.
    const fromEnvironment = (name: string) => Boolean(processEnv[name]);
    const [key, token] = ['AWS_ACCESS_KEY_ID', 'AWS_SESSION_TOKEN'];
    if (given[token] && fromEnvironment(key) !== fromEnvironment(token))
      problems.push(
        `${token}: not from the same place as ${key} (file, environment), so it can’t be its token; set it there, or to nothing`,
      );
  }
  return { path, file, given, values, problems };
}

/** @returns the path of an environment's file, which may be missing */
export const envFileOf = (environment: Environment) => join(ROOT, `.env.${environment}`);

/** @returns the path of the application's variables, beside the env file */
export const appFileOf = (envFile: string) => `${envFile}.app`;

function build(environment: Environment, envFile: string, v: Variables) {
  const container = v.POSTGRES_CONTAINER ?? `${v.APP_NAME}-postgres-${environment}`;
  const migrateCommand = v.MIGRATE_COMMAND ?? (v.BACKEND_IMAGE ? 'npx prisma migrate deploy' : undefined);
  const postgres: Postgres = {
    user: (container ? undefined : v.PGUSER) ?? v.POSTGRES_USER,
    database: databaseOf(environment, v),
    maintenance: v.POSTGRES_MAINTENANCE_DB,
    password: v.POSTGRES_PASSWORD,
    container: container || undefined,
    host: v.PGHOST,
    port: v.PGPORT,
  };
  return {
    environment,
    /** The path of `.env.<environment>`, which may be missing. */
    envFile,
    /** The path of `.env.<environment>.app`, the variables of the application, which may be missing. */
    appFile: appFileOf(envFile),
    app: v.APP_NAME,
    site: siteOf(environment, v),
    postgres,
    /** The roles with fewer rights than POSTGRES_USER. Without a password they are not in use yet. */
    roles: {
      app: { name: v.APP_DB_USER ?? roleNameOf(v.APP_NAME), password: v.APP_DB_PASSWORD },
      backup: { name: v.BACKUP_DB_USER, password: v.BACKUP_DB_PASSWORD },
    },
    /** What Compose gives to the backends. */
    urls: { database: v.DATABASE_URL, redis: v.REDIS_URL, options: v.DATABASE_URL_OPTIONS },
    backupDir: resolve(ROOT, v.BACKUP_DIR),
    format: v.BACKUP_FORMAT,
    /** Seconds. */
    lockWait: v.BACKUP_LOCK_WAIT,
    retentionDays: v.BACKUP_RETENTION_DAYS,
    minKeep: v.BACKUP_MIN_KEEP,
    /** The first signs backups; a signature of any of them counts. None: backups are not signed. */
    signingKeys: [v.BACKUP_SIGNING_KEY, v.BACKUP_SIGNING_KEY_PREVIOUS].filter(key => key !== undefined),
    /** Undefined: no off-site copy is configured. */
    s3: v.S3_BUCKET ? s3Settings(v, v.S3_BUCKET) : undefined,
    logDir: resolve(ROOT, v.LOG_DIR),
    stateDir: resolve(ROOT, v.STATE_DIR),
    hooksDir: resolve(ROOT, v.HOOKS_DIR),
    /** Seconds. */
    hookTimeout: v.HOOK_TIMEOUT,
    redisPassword: v.REDIS_PASSWORD,
    /** Of the backup service: uid:gid. */
    backupUser: v.BACKUP_USER,
    /** Public keys of the workflows that deploy, as in authorized_keys, without options. */
    deployKeys: v.DEPLOY_AUTHORIZED_KEYS?.split(',') ?? [],
    /** Where this server's Nginx is published. */
    httpsPort: v.HTTPS_PORT,
    /** How the certificate is requested. */
    acme: {
      image: v.CERTBOT_IMAGE,
      directory: v.ACME_DIRECTORY_URL,
      /** Undefined: browsers know the authority. */
      caFile: v.ACME_CA_FILE ? resolve(ROOT, v.ACME_CA_FILE) : undefined,
      email: v.ACME_EMAIL,
    },
    /** Five fields of cron in UTC each, or `off`. */
    schedule: {
      backup: v.SCHEDULE_BACKUP,
      'health-check': v.SCHEDULE_HEALTH_CHECK,
      drill: v.SCHEDULE_DRILL,
      'load-check': v.SCHEDULE_LOAD_CHECK,
      certificates: v.SCHEDULE_CERTIFICATES,
      weekly: v.SCHEDULE_WEEKLY,
    },
    /** How often the newest backup is loaded into a scratch database. */
    loadCheck: v.LOAD_CHECK,
    /** Recipient of cron's mails. */
    mailTo: v.SCHEDULE_MAILTO,
    slackWebhook: v.SLACK_WEBHOOK_URL,
    webhook: v.WEBHOOK_URL,
    pingUrl: v.BACKUP_PING_URL,
    /** The stack's, as .env.<environment> names them, with tag or digest. */
    images:
      v.BACKEND_IMAGE && v.FRONTEND_IMAGE
        ? { backend: v.BACKEND_IMAGE, frontend: v.FRONTEND_IMAGE }
        : undefined,
    /** How the application's images differ from each other's: paths and ports of an instance. */
    contract: {
      healthPath: v.HEALTH_PATH,
      readyPath: v.READY_PATH ?? `${v.HEALTH_PATH}/ready`,
      /** Undefined: it has none. */
      metricsPath: v.METRICS_PATH,
      ports: { backend: v.BACKEND_PORT, frontend: v.FRONTEND_PORT },
      /** Undefined: the image's own. */
      backendUser: v.BACKEND_USER,
      /** Which requests Nginx passes on, in the form of the variables of this name. */
      uploadPaths: v.UPLOAD_PATHS,
      publicPaths: v.PUBLIC_PATHS ?? '',
      adminPaths: v.ADMIN_PATHS ?? '',
      adminAllow: v.ADMIN_ALLOW ?? '',
      adminHashedPassword: v.ADMIN_HASHED_PASSWORD ?? '',
    },
    deploy: {
      /** Seconds in which a new instance must become ready. */
      readyTimeout: v.DEPLOY_READY_TIMEOUT,
      /** Seconds that a new release is watched. */
      bakeSeconds: v.DEPLOY_BAKE_SECONDS,
      canaryPaths: v.CANARY_REQUESTS?.split(',') ?? [v.HEALTH_PATH],
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
    /** Undefined: no migrations are configured. */
    migrate: migrateCommand ? { command: migrateCommand, image: v.BACKEND_IMAGE } : undefined,
    /** Seconds. */
    rto: v.RTO_OBJECTIVE,
    /** Seconds. */
    rpo: v.RPO_OBJECTIVE,
  };
}

/** APP_NAME may begin with a digit, which a role's name must not. */
function roleNameOf(app: string): string {
  const name = app.replaceAll('-', '_');
  return /^[a-z]/.test(name) ? name : `app_${name}`;
}

function s3Settings(v: Variables, bucket: string) {
  return {
    bucket,
    prefix: v.S3_PREFIX,
    endpoint: v.S3_ENDPOINT,
    pathStyle: v.S3_FORCE_PATH_STYLE ?? v.S3_ENDPOINT !== undefined,
    checksums: v.S3_CHECKSUMS,
    storageClass: v.S3_STORAGE_CLASS,
    sse: v.S3_SSE,
    kmsKeyId: v.S3_SSE_KMS_KEY_ID,
    /** Seconds without an answer after which a request has failed. */
    timeout: v.S3_TIMEOUT,
    /** Seconds after its first failure in which a request is repeated. */
    retryTime: v.S3_RETRY_TIME,
    region: v.AWS_REGION,
    accessKeyId: v.AWS_ACCESS_KEY_ID!,
    secretAccessKey: v.AWS_SECRET_ACCESS_KEY!,
    sessionToken: v.AWS_SESSION_TOKEN,
    retentionDays: v.S3_RETENTION_DAYS,
  };
}
