/** What each container holds, with the reason. What is not listed here is not needed, and fails the tests. */
import { join, relative } from 'node:path';
import * as assert from 'uvu/assert';
import { secretsOf } from '../../../scripts/lib/config/variables.ts';
import { percentEncoded } from '../../../scripts/lib/core/format.ts';
import type { Stack } from './stack.ts';

export interface Privileges {
  /** Name of a variable: why. Those of the image are not counted. */
  environment: Record<string, string>;
  /** `SOURCE → TARGET`, and whether it can be written: why. */
  mounts: Record<string, string>;
  networks: Record<string, string>;
  /** Variables of the env files whose value it holds, beside those that it has by their name. */
  secrets: string[];
}

const BACKEND: Privileges = {
  environment: {
    CORS_ORIGIN: 'the application’s own, of the app file',
    DATABASE_URL: 'its database',
    INSTANCE_ID: 'shows visitors and the canary which instance answers',
    JWT_SECRET: 'the application’s own, of the app file',
    NODE_ENV: 'the default of frameworks is development',
    PORT: 'Nginx asks there',
    REDIS_URL: 'its queues, sessions and sockets',
  },
  mounts: {
    'tmpfs → /run/writable-1 (rw)': 'the default of WRITABLE_DIR_1, which nobody uses',
    'tmpfs → /run/writable-2 (rw)': 'the same of WRITABLE_DIR_2',
    'tmpfs → /run/writable-3 (rw)': 'the same of WRITABLE_DIR_3',
    'tmpfs → /tmp (rw)': 'uploads on their way to the object store',
  },
  networks: { app: 'Nginx, and mail and error services outside', data: 'the stores' },
  secrets: ['APP_DB_PASSWORD', 'DATABASE_URL', 'JWT_SECRET', 'REDIS_PASSWORD', 'REDIS_URL'],
};

export const PRIVILEGES: Record<string, Privileges> = {
  'backend-1': BACKEND,
  'backend-2': BACKEND,
  frontend: {
    environment: {},
    mounts: {
      'tmpfs → /run (rw)': 'the process id of its Nginx',
      'tmpfs → /tmp (rw)': 'for images that write there',
      'tmpfs → /var/cache/nginx (rw)': 'directories of its Nginx',
    },
    networks: { app: 'Nginx' },
    secrets: [],
  },
  nginx: {
    environment: {
      ...Object.fromEntries(
        'ADMIN_ALLOW ADMIN_HASHED_PASSWORD ADMIN_PATHS HEALTH_PATH METRICS_PATH PUBLIC_PATHS READY_PATH UPLOAD_PATHS'
          .split(' ')
          .map(name => [name, 'which requests it passes on, and for whom']),
      ),
      API_DOMAIN: 'the names that it serves',
      BACKEND_PORT: 'compared with its lists of servers',
      DOMAIN: 'the names that it serves',
      FRONTEND_PORT: 'compared with its lists of servers',
    },
    mounts: {
      'nginx/settings.sh → /docker-entrypoint.d/02-settings.sh (ro)': 'checks the names before it starts',
      'nginx/entry/production.conf → /etc/nginx/nginx.conf (ro)': 'the one line that includes the rest',
      'nginx → /etc/nginx/site (ro)': 'its configuration, which a reload reads again',
      'nginx/bootstrap-certificate.sh → /docker-entrypoint.d/05-bootstrap-certificate.sh (ro)':
        'a certificate for the first start',
      'nginx/find-upstreams.sh → /docker-entrypoint.d/90-find-upstreams.sh (ro)': 'the first start',
      'volume acme → /var/www/acme (ro)': 'answers to the authority of certificates',
      'volume certificates → /etc/nginx/certificates (rw)': 'the key and the certificate',
      'volume nginx_cache → /var/cache/proxy (rw)': 'the cache',
      'tmpfs → /run (rw)': 'its process id',
      'tmpfs → /tmp (rw)': 'for its entry scripts',
      'tmpfs → /var/cache/nginx (rw)': 'directories that it makes',
    },
    networks: { app: 'what it serves', edge: 'visitors' },
    secrets: [],
  },
  postgres: {
    environment: {
      APP_DB_PASSWORD: 'of the role that is made on the first start',
      APP_DB_USER: 'the same',
      APP_NAME: 'the default of its name',
      BACKUP_DB_PASSWORD: 'of the role that is made on the first start',
      BACKUP_DB_USER: 'the same',
      POSTGRES_DB: 'made on the first start',
      POSTGRES_INITDB_ARGS: 'checksums',
      POSTGRES_PASSWORD: 'of the user that is made on the first start',
      POSTGRES_USER: 'the same',
    },
    mounts: {
      'postgres → /docker-entrypoint-initdb.d (ro)': 'makes the roles on the first start',
      'volume postgres_data → /var/lib/postgresql/data (rw)': 'the data',
      'volume postgres_scratch → /tmp (rw)': 'a restore decompresses a dump there',
      'tmpfs → /var/run/postgresql (rw)': 'the socket',
    },
    networks: { data: 'its clients' },
    secrets: ['APP_DB_PASSWORD', 'BACKUP_DB_PASSWORD', 'POSTGRES_PASSWORD'],
  },
  redis: {
    environment: { REDISCLI_AUTH: 'the server gets the hash' },
    mounts: { 'volume redis_data → /data (rw)': 'the data, and the hash' },
    networks: { data: 'its clients' },
    secrets: ['REDIS_PASSWORD'],
  },
};

/** The backup service of the tests, whose env file sets a part of what it may have. */
export const BACKUP: Privileges = {
  environment: {
    APP_NAME: 'begins the names of backups',
    AWS_ACCESS_KEY_ID: 'the key of the backups’ bucket',
    AWS_SECRET_ACCESS_KEY: 'the same',
    BACKUP_DB_PASSWORD: 'of the role of backups',
    BACKUP_DIR: 'where they are mounted',
    BACKUP_SIGNING_KEY: 'signs backups',
    DEPLOY_ENV: 'its environment',
    HOOKS_DIR: 'where its hooks are',
    LOG_DIR: 'where they are mounted',
    PGHOST: 'the server',
    PGPORT: 'the server',
    PGUSER: 'the role of backups',
    POSTGRES_CONTAINER: 'empty: there is no Docker',
    POSTGRES_DB: 'the database',
    POSTGRES_PASSWORD: 'of the role of backups',
    POSTGRES_USER: 'names the owner of what it loads',
    S3_BUCKET: 'the bucket',
    S3_ENDPOINT: 'its store',
    SCHEDULE_BACKUP: 'its times',
    SCHEDULE_CERTIFICATES: 'off: it would need Docker',
    SCHEDULE_DRILL: 'its times',
    SCHEDULE_HEALTH_CHECK: 'off: it would need Docker',
    SCHEDULE_LOAD_CHECK: 'its times',
    SCHEDULE_WEEKLY: 'off: it would need Docker',
    STATE_DIR: 'where they are mounted',
  },
  mounts: {
    'backups → /app/backups (rw)': 'the backups',
    'hooks → /app/hooks (ro)': 'the operator’s own programs',
    'logs → /app/logs (rw)': 'its log',
    'state → /app/state (rw)': 'locks and the history, shared with the scripts of the server',
    'volume postgres_data → /var/lib/postgresql/data (ro)':
      'to see the free space of its disk; it may not enter',
    'tmpfs → /tmp (rw)': 'pieces of a work in progress',
  },
  networks: { data: 'PostgreSQL', egress: 'the object store' },
  secrets: ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'BACKUP_DB_PASSWORD', 'BACKUP_SIGNING_KEY'],
};

/** As far as the tests look at it. */
interface Inspected {
  Config: { Env: string[] | null; Image: string };
  Image: string;
  Mounts: { Type: string; Name?: string; Source: string; Destination: string; RW: boolean }[];
  HostConfig: { Tmpfs: Record<string, string> | null };
  NetworkSettings: { Networks: Record<string, unknown> };
}

/** Names of the variables that a container has over those of its image. */
export function ownNames(environment: string[], image: string[]): string[] {
  return (
    environment
      // One without a value, which Compose did not find, is not set: Docker would remove it from those of the image.
      .filter(entry => entry.includes('=') && !image.includes(entry))
      .map(entry => entry.split('=')[0]!)
      .sort()
  );
}

export async function imageEnvironment(stack: Stack, image: string): Promise<string[]> {
  return JSON.parse(await stack.docker('image', 'inspect', '--format', '{{json .Config.Env}}', image)) ?? [];
}

/** The forms in which a secret can stand in what Docker prints. */
const formsOf = (secret: string) =>
  [secret, encodeURIComponent(secret), percentEncoded(secret)].flatMap(each => [
    each,
    JSON.stringify(each).slice(1, -1),
    // As Docker does, which writes <, > and & as escapes.
    JSON.stringify(each)
      .slice(1, -1)
      .replaceAll('&', '\\u0026')
      .replaceAll('<', '\\u003c')
      .replaceAll('>', '\\u003e'),
  ]);

/** @returns the names of the variables whose secret is in a text */
export function secretsIn(text: string, variables: Record<string, string>): string[] {
  const hidden = secretsOf(variables);
  return Object.entries(variables)
    .filter(([, value]) => hidden.includes(value) && formsOf(value).some(form => text.includes(form)))
    .map(([name]) => name)
    .sort();
}

/** @throws unless a container holds exactly what is listed */
export async function assertPrivileges(
  stack: Stack,
  service: string,
  { environment, mounts, networks, secrets }: Privileges,
  variables = stack.variables,
): Promise<void> {
  const text = await stack.docker('inspect', '--type', 'container', stack.container(service));
  const [found] = JSON.parse(text) as [Inspected];
  const env = found.Config.Env ?? [];
  const ofImage = await imageEnvironment(stack, found.Image);
  const project = `${stack.app}-${stack.environment}`;
  const expected = Object.keys(environment).filter(
    name => !ofImage.some(entry => env.includes(entry) && entry.startsWith(`${name}=`)),
  );
  assert.equal(ownNames(env, ofImage), expected.sort(), `${service}: variables`);
  const sourceOf = ({ Type, Name, Source }: Inspected['Mounts'][number]) =>
    Type === 'volume' ? `volume ${Name!.replace(`${project}_`, '')}` : relative(stack.directory, Source);
  const mounted = [
    ...found.Mounts.map(each => `${sourceOf(each)} → ${each.Destination} (${each.RW ? 'rw' : 'ro'})`),
    ...Object.keys(found.HostConfig.Tmpfs ?? {}).map(target => `tmpfs → ${target} (rw)`),
  ];
  assert.equal(mounted.sort(), Object.keys(mounts).sort(), `${service}: mounts`);
  // Other tests of the shared stack join networks of their own, which begin with its name.
  const joined = Object.keys(found.NetworkSettings.Networks)
    .filter(name => !name.startsWith(`${stack.app}-`) || name.startsWith(`${project}_`))
    .map(name => name.replace(`${project}_`, ''));
  assert.equal(joined.sort(), Object.keys(networks).sort(), `${service}: networks`);
  assert.equal(secretsIn(env.join('\n'), variables), secrets, `${service}: secrets in its variables`);
  const rest = JSON.stringify({ ...found, Config: { ...found.Config, Env: [] } });
  assert.equal(
    secretsIn(rest, variables),
    [],
    `${service}: secrets in its arguments, labels or health checks`,
  );
}

/** Starts the product's migrations as restore.ts and deploy.ts do, with another command. Code for a process. */
export const migrating = (stack: Stack, command: string): string => `
  import { loadConfig } from ${JSON.stringify(join(stack.directory, 'scripts/lib/config/config.ts'))};
  import { migrate } from ${JSON.stringify(join(stack.directory, 'scripts/lib/migrations/run.ts'))};
  const config = loadConfig('production');
  const { image } = config.migrate;
  await migrate(config, { command: ${JSON.stringify(command)}, image }, config.postgres.database, {});
`;
