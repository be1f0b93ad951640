/* Names in an env file that no script reads: those that were meant for one are told from the application's own. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { misnamed, nearestName, unknownNames } from '../../scripts/lib/config/known-names.ts';
import { NAMES } from '../../scripts/lib/config/variables.ts';

test('a slip of the keyboard, another case, other separators, a word too many or too few', () => {
  const slips = {
    S3_BUKET: 'S3_BUCKET',
    S3_BUCKTE: 'S3_BUCKET',
    s3_bucket: 'S3_BUCKET',
    S3BUCKET: 'S3_BUCKET',
    'S3-BUCKET': 'S3_BUCKET',
    S3_BUCKET_NAME: 'S3_BUCKET',
    BACKUP_S3_BUCKET: 'S3_BUCKET',
    POSTGRESS_PASSWORD: 'POSTGRES_PASSWORD',
    POSTGRES_PASWORD: 'POSTGRES_PASSWORD',
    BACKUP_RETENTION_DAY: 'BACKUP_RETENTION_DAYS',
    AWS_ACCESS_KEY: 'AWS_ACCESS_KEY_ID',
    SLACK_WEBHOOK: 'SLACK_WEBHOOK_URL',
    SCHEDULED_BACKUP: 'SCHEDULE_BACKUP',
    RTO_OBJECTIV: 'RTO_OBJECTIVE',
  };
  assert.equal(Object.fromEntries(Object.keys(slips).map(name => [name, nearestName(name)])), slips);
});

test('every variable is found again with a letter missing, and with two letters swapped', () => {
  const lost = NAMES.filter(name => name.length > 9).flatMap(name => {
    const at = Math.floor(name.length / 2);
    const missing = name.slice(0, at) + name.slice(at + 1);
    const swapped = name.slice(0, at) + name[at + 1] + name[at] + name.slice(at + 2);
    return [missing, swapped]
      .filter(slip => !NAMES.includes(slip) && !nearestName(slip)?.split(' or ').includes(name))
      .map(slip => `${slip} is taken for ${nearestName(slip)}, not ${name}`);
  });
  assert.equal(lost, []);
});

test('the variables of an application are not taken for ours', () => {
  const application = [
    ...['NODE_ENV', 'PORT', 'HOST', 'LOG_LEVEL', 'API_URL', 'TZ', 'SMTP_HOST', 'SMTP_PASSWORD', 'SMTP_USER'],
    ...['JWT_EXPIRES_IN', 'REFRESH_TOKEN_SECRET', 'SESSION_SECRET', 'STRIPE_SECRET_KEY', 'OPENAI_API_KEY'],
    ...[
      'GOOGLE_CLIENT_ID',
      'GITHUB_CLIENT_SECRET',
      'SENTRY_DSN',
      'REDIS_HOST',
      'UPLOAD_DIR',
      'RATE_LIMIT_MAX',
    ],
    ...[
      'FRONTEND_URL',
      'BACKEND_URL',
      'VITE_API_URL',
      'EMAIL_FROM',
      'ENCRYPTION_KEY',
      'WEBHOOK_SECRET',
      'CLIENT_URL',
    ],
    ...['MEILISEARCH_URL', 'VAPID_PUBLIC_KEY', 'COOKIE_SECRET', 'PGSSLMODE', 'DEBUG', 'NEXT_PUBLIC_SITE_URL'],
  ];
  const taken = unknownNames(application).filter(({ kind }) => kind !== 'unknown');
  assert.equal(taken, []);
});

test('a name of the scripts that were here before is named with what replaced it', () => {
  const old = ['RETENTION_DAYS', 'DB_NAME', 'DB_USER', 'DB_HOST', 'PGPASSWORD', 'S3_BACKUP_BUCKET'];
  const said = unknownNames(['APP_NAME', ...old, 'PORT']).map(each => misnamed(each) ?? each.name);
  assert.equal(said, [
    'RETENTION_DAYS: no script reads it; set BACKUP_RETENTION_DAYS, and S3_RETENTION_DAYS for S3',
    'DB_NAME: no script reads it; set POSTGRES_DB',
    'DB_USER: no script reads it; set POSTGRES_USER',
    'DB_HOST: no script reads it; set PGHOST, with an empty POSTGRES_CONTAINER',
    'PGPASSWORD: no script reads it; set POSTGRES_PASSWORD',
    'S3_BACKUP_BUCKET: no script reads it; set S3_BUCKET',
    'PORT',
  ]);
});

test('what replaces a retired name is a variable of the table', () => {
  const retired = [
    'BACKUP_RETENTION',
    'DB_PORT',
    'DB_CONTAINER',
    'PGPASSWORD',
    'S3_REGION',
    'AWS_ENDPOINT_URL',
  ];
  for (const { name, kind, instead } of unknownNames(retired)) {
    assert.is(kind, 'retired', name);
    for (const [each] of instead!.matchAll(/[A-Z0-9_]{5,}/g)) assert.ok(NAMES.includes(each), each);
  }
});

test.run();
