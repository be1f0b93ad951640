import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { environmentOf, loadConfig, ROOT, readEnvFile } from '../scripts/lib/config.ts';
import { OperationalError } from '../scripts/lib/errors.ts';
import { redact } from '../scripts/lib/log.ts';

const KEYS = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'a-secret-key' };

/** @returns the message of a configuration that is refused */
function problemsOf(env: Record<string, string>): string {
  try {
    loadConfig('production', env);
  } catch (error) {
    assert.instance(error, OperationalError);
    assert.is((error as OperationalError).exitCode, 2);
    assert.match((error as OperationalError).hint, /\.env\.production.*\.env\.example/);
    return (error as Error).message;
  }
  throw new Error('it was accepted');
}

test('nothing set: the defaults', () => {
  const config = loadConfig('staging', {});
  assert.is(config.app, 'neurmatic');
  assert.is(config.postgres.database, 'neurmatic_staging');
  assert.is(config.postgres.container, 'neurmatic-postgres-staging');
  assert.is(config.backupDir, `${ROOT}/backups`);
  assert.is(config.format, 'plain');
  assert.equal([config.retentionDays, config.minKeep], [30, 7]);
  assert.is(config.s3, undefined);
  assert.equal([config.rto, config.rpo], [4 * 3600, 24 * 3600]);
});

test('an app’s name gives the others; an empty container means this host’s programs', () => {
  const config = loadConfig('production', {
    APP_NAME: 'shop',
    POSTGRES_CONTAINER: '',
    PGHOST: 'db',
    PGPORT: '6432',
  });
  assert.is(config.postgres.database, 'shop_production');
  assert.is(config.postgres.container, undefined);
  assert.equal([config.postgres.host, config.postgres.port], ['db', 6432]);
});

test('S3: defaults, and what its endpoint implies', () => {
  const amazon = loadConfig('production', { S3_BUCKET: 'bucket', ...KEYS }).s3!;
  assert.equal(
    [
      amazon.prefix,
      amazon.storageClass,
      amazon.retentionDays,
      amazon.checksums,
      amazon.pathStyle,
      amazon.timeout,
    ],
    ['database', 'STANDARD_IA', 90, 'supported', false, 60],
  );
  const other = loadConfig('production', { S3_BUCKET: 'bucket', S3_ENDPOINT: 'https://s3.example', ...KEYS })
    .s3!;
  assert.is(other.pathStyle, true);
});

const BAD: Record<string, [value: string, says: RegExp]> = {
  APP_NAME: ['Bad Name!', /lower-case/],
  POSTGRES_DB: ['x'.repeat(41), /at most 40 bytes/],
  POSTGRES_CONTAINER: ['-rm', /container name/],
  PGPORT: ['65536', /a port number/],
  BACKUP_FORMAT: ['tar', /plain or custom/],
  BACKUP_RETENTION_DAYS: ['0', /at least 1/],
  BACKUP_MIN_KEEP: ['-1', /at least 1/],
  S3_BUCKET: ['Bucket_X', /a bucket name/],
  S3_PREFIX: ['/slashed/', /not at an end/],
  S3_ENDPOINT: ['ftp://store.example', /http\(s\) URL/],
  S3_FORCE_PATH_STYLE: ['yes', /true or false/],
  S3_CHECKSUMS: ['always', /supported or required/],
  S3_STORAGE_CLASS: ['cold storage', /STANDARD_IA/],
  S3_SSE: ['rot13', /AES256 or aws:kms/],
  S3_TIMEOUT: ['0s', /above 0/],
  S3_RETENTION_DAYS: ['90 days', /whole days/],
  AWS_REGION: ['eu west', /a region/],
  SLACK_WEBHOOK_URL: ['hooks.example/secret', /http\(s\) URL/],
  BACKUP_PING_URL: ['javascript:secret', /http\(s\) URL/],
  RTO_OBJECTIVE: ['four hours', /4h/],
  RPO_OBJECTIVE: ['24', /4h/],
};

for (const [key, [value, says]] of Object.entries(BAD)) {
  test(`a bad ${key} is named and not shown`, () => {
    const message = problemsOf({ ...KEYS, [key]: value });
    assert.match(message, new RegExp(`^  ${key}: .*${says.source}`, 'm'));
    assert.match(message, /has 1 bad value/);
    assert.not.ok(message.includes(value), message);
  });
}

test('all that is wrong is said at once', () => {
  const message = problemsOf({
    ...Object.fromEntries(Object.entries(BAD).map(([key, [value]]) => [key, value])),
  });
  for (const key of Object.keys(BAD)) assert.match(message, new RegExp(`^  ${key}: `, 'm'));
  for (const key of Object.keys(KEYS)) assert.match(message, new RegExp(`^  ${key}: needed`, 'm'));
  for (const [value] of Object.values(BAD))
    assert.not.ok(value.length > 2 && message.includes(`: ${value}`), value);
});

test('a bucket needs its keys', () => {
  const message = problemsOf({ S3_BUCKET: 'bucket', AWS_ACCESS_KEY_ID: 'id' });
  assert.match(message, /AWS_SECRET_ACCESS_KEY: needed, because S3_BUCKET is set/);
  assert.not.match(message, /AWS_ACCESS_KEY_ID/);
});

test('the name of a database is measured in bytes, and has no line breaks', () => {
  assert.is(loadConfig('production', { POSTGRES_DB: 'ä'.repeat(20) }).postgres.database.length, 20);
  assert.match(problemsOf({ POSTGRES_DB: 'ä'.repeat(21) }), /40 bytes/);
  assert.match(problemsOf({ POSTGRES_DB: 'a\nb' }), /line breaks/);
  assert.is(
    loadConfig('production', { POSTGRES_DB: 'it\'s "a" $db-1' }).postgres.database,
    'it\'s "a" $db-1',
  );
});

test('secrets are hidden from every later message, also as URLs and JSON write them', () => {
  const password = 'p"a s/s@w\\Q7Q';
  loadConfig('production', {
    POSTGRES_PASSWORD: password,
    SLACK_WEBHOOK_URL: 'https://hooks.example/T0/x9',
    BACKUP_PING_URL: 'https://ping.example/uuid',
  });
  for (const shown of [
    password,
    encodeURIComponent(password),
    JSON.stringify({ password }),
    'could not reach https://hooks.example/T0/x9',
    'https://ping.example/uuid/start',
  ]) {
    assert.match(redact(shown), /\*\*\*/);
    assert.not.match(redact(shown), /Q7Q|x9|uuid/);
  }
});

test('an environment is production or staging', () => {
  assert.is(environmentOf('staging'), 'staging');
  for (const other of ['prod', 'Production', ''])
    assert.throws(() => environmentOf(other), /no environment is called ".*"/);
});

test('an env file is read as Compose reads it, quotes in quotes included', () => {
  const directory = mkdtempSync(join(tmpdir(), 'env-'));
  try {
    const path = join(directory, 'env');
    writeFileSync(path, "A='p\\'w\"d $1 #2'\nB=plain # why\nC=\n");
    assert.equal(readEnvFile(path), { A: 'p\'w"d $1 #2', B: 'plain', C: '' });
    assert.equal(readEnvFile(join(directory, 'none')), {});
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.run();
