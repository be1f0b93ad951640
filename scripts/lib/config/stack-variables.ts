/** Variables of the product, its Compose stack and its deployment. */
import { hostName, siteName } from './site.ts';
import {
  any,
  directory,
  type Group,
  image,
  mailAddress,
  port,
  readBy,
  span,
  text,
  url,
  whole,
} from './types.ts';

const NAME_READERS = 'docker compose, deploy, rollback, scale, health-check and certificates';
const SENTRY_SLUG = text('letters, digits and -', /^[\w-]+$/);

export const product = {
  DEPLOY_ENV: {
    meaning:
      'production or staging: whose file this is. Scripts and Compose refuse it for the other one, so that a copy of ' +
      'this file does not take its values along. In the environment of a script: the default of --env.',
    readBy: 'docker compose, all scripts',
  },
  APP_NAME: {
    meaning:
      'Prefix of containers, databases and backup names: at most 31 lower-case letters, digits, - and _; at most 29 in ' +
      'production without POSTGRES_DB, because the database’s name is made of it.',
    type: text('lower-case letters, digits, - and _', /^[a-z0-9][a-z0-9_-]{0,30}$/),
    default: 'neurmatic',
    readBy: 'docker compose, all scripts',
  },
  DOMAIN: {
    meaning:
      'Host name of the site, without www.: www.<DOMAIN> is redirected to it. Default: neurmatic.com, in staging ' +
      'staging.neurmatic.com. A change takes effect with a new Nginx container.',
    type: siteName,
    readBy: NAME_READERS,
  },
  API_DOMAIN: {
    meaning: 'Host name of the API. Default: api.<DOMAIN>.',
    type: hostName,
    readBy: NAME_READERS,
  },
} satisfies Group;

export const stack = readBy('docker compose', {
  BACKEND_IMAGE: {
    meaning:
      'Image of the API, with a tag or, better, a digest: OWNER/backend@sha256:…. Required by the stack. deploy and ' +
      'rollback write the digest of the running release here.',
    type: image,
    readBy: 'docker compose, deploy, rollback, restore',
  },
  FRONTEND_IMAGE: {
    meaning: 'Image of the web client, in the same form.',
    type: image,
    readBy: 'docker compose, deploy, rollback',
  },
  DATABASE_URL: {
    meaning:
      'The backends’ connection to the database. ./scripts/config.ts --write makes it of APP_DB_USER, APP_DB_PASSWORD, ' +
      'POSTGRES_DB and DATABASE_URL_OPTIONS, percent-encoded. A URL of another server than the stack’s is left as it is.',
    type: any,
    readBy: 'docker compose, config, deploy, rollback, scale, health-check',
  },
  DATABASE_URL_OPTIONS: {
    meaning:
      'What follows the ? in DATABASE_URL: name=value, joined by &. Default: connection_limit=20, the size of Prisma’s ' +
      'pool in each backend: eight of them leave room in max_connections. Set, but empty: none.',
    type: text(
      'name=value, joined by &, percent-encoded',
      /^(?:[\w.-]+=[\w.~%!()*+,;:@/-]*(?:&[\w.-]+=[\w.~%!()*+,;:@/-]*)*)?$/,
    ),
    emptyCounts: true,
    readBy: 'config, deploy, rollback, scale, health-check',
  },
  REDIS_URL: {
    meaning:
      'The backends’ connection to Redis. ./scripts/config.ts --write makes it of REDIS_PASSWORD. A URL of another server ' +
      'than the stack’s is left as it is.',
    type: any,
    readBy: 'docker compose, config, deploy, rollback, scale, health-check',
  },
  REDIS_PASSWORD: {
    meaning: 'Required by the stack. The Redis server itself only gets its hash.',
    type: any,
    readBy: 'docker compose, health-check',
  },
  HTTP_PORT: {
    meaning:
      'Port of the server for HTTP, on all its IPv4 addresses. Change it for a second stack, or behind a proxy.',
    default: '80',
  },
  HTTPS_PORT: {
    meaning: 'The same for HTTPS.',
    type: port,
    default: '443',
    readBy: 'docker compose, health-check, certificates',
  },
  POSTGRES_CPUS: {
    meaning: 'Processors that PostgreSQL can use. Docker refuses more than the server has.',
    default: '2',
  },
  BACKUP_USER: {
    meaning:
      'User of the backup service, uid:gid: the owner of backups/, logs/ and state/, which must exist. Compose sets ' +
      'POSTGRES_CONTAINER, PGHOST and PGPORT of this service, whatever this file has.',
    type: text('uid:gid, such as 1000:1000', /^\d{1,9}(?::\d{1,9})?$/),
    default: '1000:1000',
    readBy: 'docker compose, setup-server',
  },
});

export const certificates = readBy('certificates', {
  CERTBOT_IMAGE: {
    meaning:
      'Image of certbot, which requests the certificate, in the form of BACKEND_IMAGE. 4.1 or later asks the authority when to renew (ARI).',
    type: image,
    default: 'certbot/certbot:v5.5.0',
  },
  ACME_DIRECTORY_URL: {
    meaning:
      'The certificate authority: the URL of its ACME directory. A change takes effect with the next renewal, or with ' +
      '`./scripts/certificates.ts issue --force`.',
    type: url,
    default: 'https://acme-v02.api.letsencrypt.org/directory',
  },
  ACME_CA_FILE: {
    meaning:
      'PEM file with the roots of an authority of your own, for its directory and for its certificates, readable by ' +
      'everybody. Relative paths start at the repository.',
    type: directory,
  },
  ACME_EMAIL: {
    meaning: 'Address of the account at the authority. Let’s Encrypt needs none and sends no mail.',
    type: mailAddress,
  },
});
const KEY_LINE =
  '(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{60,}=*(?: [\\w@.+-]+)?';

export const deployment = readBy('deploy, rollback', {
  DEPLOY_AUTHORIZED_KEYS: {
    meaning:
      'Public keys of the workflows that deploy this environment, separated by commas: what ssh-keygen writes to the file ' +
      '.pub. setup-server gives them to the user deploy, with ssh-command as the only command.',
    type: text('public keys such as ssh-ed25519 AAAA… name', new RegExp(`^${KEY_LINE}(?:,${KEY_LINE})*$`)),
    readBy: 'setup-server',
  },
  MIGRATE_COMMAND: {
    meaning:
      'Runs with DATABASE_URL set: to the restored database, or to the live one in a deployment. It runs in a ' +
      'container of BACKEND_IMAGE, or on this host without one. Default: npx prisma migrate deploy with BACKEND_IMAGE, ' +
      'none without.',
    type: any,
    readBy: 'restore, deploy',
  },
  MIGRATIONS_DIR: {
    meaning: 'Directory of the migrations in BACKEND_IMAGE, relative to its working directory.',
    type: directory,
    default: 'prisma/migrations',
    readBy: 'deploy',
  },
  DEPLOY_READY_TIMEOUT: {
    meaning: 'Time in which a new instance must become ready: a number and s, m or h.',
    type: span,
    default: '2m',
    readBy: 'deploy, rollback, scale',
  },
  DEPLOY_BAKE_SECONDS: {
    meaning:
      'Seconds that a new release is watched, at most 3600; 0: not at all. Before that, old and new instances serve ' +
      'together for half as long. More 5xx responses or slower ones than the old release’s revert it.',
    type: whole('whole seconds, at most 3600', 0, 3600),
    default: '60',
    readBy: 'deploy',
  },
  CANARY_REQUESTS: {
    meaning:
      'Paths of the API that the canary requests in addition to readiness: safe to GET, separated by commas. Default: ' +
      '<HEALTH_PATH>.',
    type: text('paths that are safe to GET, separated by commas', /^\/[^\s,]*(,\/[^\s,]*)*$/),
  },
  SENTRY_ORG: {
    meaning: 'Sentry gets each release when SENTRY_ORG, SENTRY_PROJECT and SENTRY_AUTH_TOKEN are all set.',
    type: SENTRY_SLUG,
  },
  SENTRY_PROJECT: { meaning: 'The project’s slug.', type: SENTRY_SLUG },
  SENTRY_AUTH_TOKEN: { meaning: 'A token with the scope project:releases.', type: any },
  SENTRY_URL: { meaning: 'A Sentry server of your own.', type: url, default: 'https://sentry.io' },
});
