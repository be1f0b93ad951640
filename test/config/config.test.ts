import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Environment, environmentOf, loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { VARIABLES } from '../../scripts/lib/config/variables.ts';
import { OperationalError } from '../../scripts/lib/core/errors.ts';
import { redact } from '../../scripts/lib/core/redact.ts';
import { BAD, FREE } from '../support/config/bad-values.ts';

const SIGNING_KEY = 'k'.repeat(32);
const KEYS = {
  AWS_ACCESS_KEY_ID: 'id',
  AWS_SECRET_ACCESS_KEY: 'a-secret-key',
  BACKUP_SIGNING_KEY: SIGNING_KEY,
};

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
  assert.equal(config.site.names, [
    ...['staging.neurmatic.com', 'www.staging.neurmatic.com', 'api.staging.neurmatic.com'],
  ]);
  assert.is(loadConfig('production', {}).site.frontend, 'neurmatic.com');
  assert.is(config.backupDir, `${ROOT}/backups`);
  assert.is(config.format, 'plain');
  assert.equal([config.retentionDays, config.minKeep], [30, 7]);
  assert.is(config.s3, undefined);
  assert.equal([config.rto, config.rpo], [4 * 3600, 24 * 3600]);
});

test('an app’s name gives the others; an empty container means this host’s programs', () => {
  const config = loadConfig('production', {
    APP_NAME: 'shop',
    DOMAIN: 'shop.example',
    POSTGRES_CONTAINER: '',
    PGHOST: 'db',
    PGPORT: '6432',
  });
  assert.is(config.postgres.database, 'shop_production');
  assert.is(config.postgres.container, undefined);
  assert.equal([config.site.frontend, config.site.api], ['shop.example', 'api.shop.example']);
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

test('every variable either has a rule that is tested here, or takes any text', () => {
  assert.equal([...Object.keys(BAD), ...FREE].sort(), [...VARIABLES].sort());
  loadConfig('production', Object.fromEntries(FREE.map(name => [name, ' any "text" ü $1 '])));
});

for (const [key, [says, ...values]] of Object.entries(BAD)) {
  test(`a bad ${key} is named with what it should be, and not shown`, () => {
    for (const value of values) {
      const message = problemsOf({ ...KEYS, [key]: value });
      const expected = `the configuration of production has 1 bad value(s):\n  ${key}: ${says}`;
      assert.is(message, expected, value);
    }
  });
}

test('values at their limits are accepted; units become seconds, and spaces around a URL are removed', () => {
  const config = loadConfig('production', {
    PGPORT: '1',
    HTTPS_PORT: '65535',
    BACKUP_RETENTION_DAYS: '36500',
    BACKUP_MIN_KEEP: '1',
    SCHEDULE_BACKUP: 'off',
    SCHEDULE_DRILL: '0 4 * jan-mar sun',
    WEBHOOK_URL: ' HTTPS://hooks.example/a?b ',
    DEPLOY_READY_TIMEOUT: '90s',
    DEPLOY_BAKE_SECONDS: '0',
    CANARY_REQUESTS: '/a,/b?c',
    RTO_OBJECTIVE: '030m',
    RPO_OBJECTIVE: '2d',
  });
  assert.equal([config.postgres.port, config.httpsPort], [1, 65_535]);
  assert.equal([config.retentionDays, config.minKeep], [36_500, 1]);
  assert.equal([config.schedule.backup, config.schedule.drill], ['off', '0 4 * jan-mar sun']);
  assert.is(config.webhook, 'HTTPS://hooks.example/a?b');
  assert.equal([config.deploy.readyTimeout, config.deploy.bakeSeconds], [90, 0]);
  assert.equal(config.deploy.canaryPaths, ['/a', '/b?c']);
  assert.equal([config.rto, config.rpo], [1800, 2 * 86_400]);
});

test('an unknown variable is ignored, and an empty value counts as not set', () => {
  const empty = Object.fromEntries(VARIABLES.map(name => [name, '']));
  const given = {
    ...empty,
    POSTGRES_CONTAINER: undefined,
    DATABASE_URL_OPTIONS: undefined,
    BACKUP_FORMATS: 'tar',
    PATH: '/bin',
  };
  assert.equal(loadConfig('production', given), loadConfig('production', {}));
});

test('all errors are listed at once', () => {
  const message = problemsOf(
    Object.fromEntries(Object.entries(BAD).map(([key, [, value]]) => [key, value!])),
  );
  const [title, ...lines] = message.split('\n');
  const needed = Object.keys(KEYS)
    .filter(key => key.startsWith('AWS_'))
    .map(key => `${key}: needed, because S3_BUCKET is set`);
  const said = [...Object.entries(BAD).map(([key, [says]]) => `${key}: ${says}`), ...needed];
  assert.is(title, `the configuration of production has ${said.length} bad value(s):`);
  assert.equal(lines.sort(), said.map(line => `  ${line}`).sort());
});

test('a bucket needs its keys', () => {
  const message = problemsOf({ S3_BUCKET: 'bucket', AWS_ACCESS_KEY_ID: 'id' });
  assert.match(message, /AWS_SECRET_ACCESS_KEY: needed, because S3_BUCKET is set/);
  assert.not.match(message, /AWS_ACCESS_KEY_ID/);
});

test('a session token is taken from where its key is, and from nowhere else', () => {
  const bucket = { S3_BUCKET: 'bucket', ...KEYS };
  const { s3 } = loadConfig('production', { ...bucket, AWS_SESSION_TOKEN: 'token-of-the-key' });
  assert.is(s3!.sessionToken, 'token-of-the-key');
  assert.is(redact('x token-of-the-key x'), 'x *** x');
  assert.is(loadConfig('production', { ...bucket, AWS_SESSION_TOKEN: '' }).s3!.sessionToken, undefined);
  const own = problemsOf({
    S3_BUCKET: 'bucket',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SESSION_TOKEN: 'token',
  });
  assert.match(own, /AWS_SESSION_TOKEN: not from the same place as AWS_ACCESS_KEY_ID/);
  loadConfig('production', { AWS_SESSION_TOKEN: 'of another program' }); // without S3 it does not matter
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

test('APP_NAME is measured with the environment, as the name of the database, where POSTGRES_DB is not set', () => {
  const lengths = { production: 29, staging: 31 } as const; // 32 with _staging; APP_NAME has at most 31
  for (const [environment, length] of Object.entries(lengths) as [Environment, number][]) {
    const { database } = loadConfig(environment, { APP_NAME: 'x'.repeat(length) }).postgres;
    assert.is(database, `${'x'.repeat(length)}_${environment}`);
    assert.ok(`${database}_before_20260131_020007`.length <= 63, database);
  }
  for (const length of [30, 31]) {
    const APP_NAME = 'x'.repeat(length);
    assert.match(
      problemsOf({ APP_NAME }),
      /^the configuration of production has 1 bad value.*\n {2}APP_NAME: at most 29 /,
    );
    assert.match(problemsOf({ APP_NAME, POSTGRES_DB: '' }), /APP_NAME: at most 29 characters .*POSTGRES_DB/);
    assert.is(loadConfig('production', { APP_NAME, POSTGRES_DB: 'x'.repeat(40) }).app, APP_NAME);
  }
  const refused = problemsOf({ APP_NAME: 'x'.repeat(32) });
  assert.is(refused.match(/APP_NAME/g)!.length, 1, refused);
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

test('the key that signs backups comes first; the previous one needs it, and both are hidden', () => {
  const [key, previous] = ['a1'.repeat(32), 'b2'.repeat(32)];
  assert.equal(loadConfig('production', {}).signingKeys, []);
  assert.equal(loadConfig('production', { BACKUP_SIGNING_KEY: '' }).signingKeys, []);
  const both = { BACKUP_SIGNING_KEY: key, BACKUP_SIGNING_KEY_PREVIOUS: previous };
  assert.equal(loadConfig('production', both).signingKeys, [key, previous]);
  assert.is(redact(`${key} ${previous}`), '*** ***');
  assert.match(
    problemsOf({ BACKUP_SIGNING_KEY_PREVIOUS: previous }),
    /BACKUP_SIGNING_KEY: needed, because BACKUP_SIGNING_KEY_PREVIOUS is set/,
  );
});

test.run();
