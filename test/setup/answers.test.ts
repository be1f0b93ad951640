/* What init.ts takes for an answer, and what it makes of answers, without a process. On a terminal: test/integration/init.test.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configOfText, type Environment, ROOT } from '../../scripts/lib/config/config.ts';
import { envExample } from '../../scripts/lib/config/env-example.ts';
import { quoted, valuesOf } from '../../scripts/lib/config/env-file.ts';
import { unclearLines } from '../../scripts/lib/config/env-lines.ts';
import { urlStates } from '../../scripts/lib/config/store-urls.ts';
import { answersTo, type Flags, problemOf } from '../../scripts/lib/setup/answers.ts';
import { planFiles } from '../../scripts/lib/setup/plan-files.ts';
import { refused } from '../support/core/in-process.ts';

const example = readFileSync(join(ROOT, '.env.app.example'), 'utf8');
const known = (values: Record<string, string> = {}, other: Record<string, string> = {}) => ({
  environment: 'production' as Environment,
  values,
  other,
});

/** Answers to the question for the domain that are refused, and what is probably meant. */
const DOMAINS: [answer: string, meant?: string][] = [
  ['acme.example\nAPP_NAME=x'],
  ['acme.example\r'],
  ['acme.example\u2028x'],
  ['acme.example\0'],
  ['\u001b[31macme.example'],
  ['$(id).example'],
  ['$HOME.example'],
  ["'acme.example'"],
  ['"acme.example"'],
  ['`id`.example'],
  ['acme.example # why'],
  ['ACME.example', 'acme.example'],
  ['acme.example.', 'acme.example'],
  [' acme.example', 'acme.example'],
  ['http://acme.example', 'acme.example'],
  ['HTTPS://www.Acme.example:8443/path?x#y', 'acme.example'],
  ['acme.example:443', 'acme.example'],
  ['www.acme.example', 'acme.example'],
  ['münchen.example', 'xn--mnchen-3ya.example'],
  ['例え.example', 'xn--r8jz45g.example'],
  ['192.0.2.1'],
  ['192.0.2.1:80'],
  ['[2001:db8::1]'],
  ['2001:db8::1'],
  ['localhost'],
  ['acme'],
  ['*.acme.example'],
  ['-acme.example'],
  ['acme..example'],
  ['acme_shop.example'],
  ['acme example'],
  [`${'a'.repeat(64)}.example`],
  [`${'a.'.repeat(60)}example`],
];

test('host names in another form are refused, with the name that is meant', () => {
  for (const [answer, meant] of DOMAINS) {
    const problem = problemOf('DOMAIN', answer, known());
    assert.ok(problem, `${JSON.stringify(answer)} is accepted`);
    assert.is(/; is (\S+) meant\?$/.exec(problem!)?.[1], meant, `${JSON.stringify(answer)}: ${problem}`);
  }
  for (const answer of ['acme.example', 'xn--mnchen-3ya.example', 'a.b.c.example', '1.example'])
    assert.is(problemOf('DOMAIN', answer, known()), undefined, answer);
});

test('other answers are judged as the scripts judge them, and never shown', () => {
  const wrong: [name: string, answer: string][] = [
    ['APP_NAME', 'Shop'],
    ['APP_NAME', 'a/b'],
    ['APP_NAME', 'x'.repeat(32)],
    ['APP_NAME', 'x'.repeat(30)], // a restore appends to the database’s name
    ['BACKEND_IMAGE', 'shop/backend:1 --privileged'],
    ['BACKEND_IMAGE', '$(id)'],
    ['BACKEND_IMAGE', 'https://registry.example/x'],
    ['S3_BUCKET', 'My_Bucket'],
    ['S3_ENDPOINT', 's3.example'],
    ['S3_ENDPOINT', 'ftp://s3.example'],
    ['AWS_SECRET_ACCESS_KEY', 'a\nb'],
    ['AWS_SECRET_ACCESS_KEY', 'a\tb'],
    ['SLACK_WEBHOOK_URL', 'hooks.slack.example/s3cret'],
  ];
  for (const [name, answer] of wrong) {
    const problem = problemOf(name, answer, known());
    assert.ok(problem, `${name}: ${JSON.stringify(answer)} is accepted`);
    assert.not.ok(problem!.includes(answer), problem);
  }
  assert.match(
    problemOf('API_DOMAIN', 'www.acme.example', known({ DOMAIN: 'acme.example' })) ?? '',
    /another name than DOMAIN/,
  );
  assert.match(
    problemOf('DOMAIN', 'api.acme.example', known({ API_DOMAIN: 'api.acme.example' })) ?? '',
    /another name than DOMAIN/,
  );
  const long = 'x'.repeat(30);
  assert.match(
    problemOf('APP_NAME', long, known()) ?? '',
    /^at most 29 characters in production, or set POSTGRES_DB/,
  );
  assert.is(problemOf('APP_NAME', 'x'.repeat(29), known()), undefined);
  assert.is(problemOf('APP_NAME', long, known({ POSTGRES_DB: 'shop' })), undefined);
});

test('a secret with any printable characters is written so that it is read back', async () => {
  for (const secret of [
    'plain/+=',
    "a'b",
    'a"b',
    'a$b',
    '$A',
    'a#b',
    ' a ',
    'a\\',
    "a\\'b",
    '`a`',
    'ü€',
    '=',
  ]) {
    if (problemOf('AWS_SECRET_ACCESS_KEY', secret, known()) !== undefined) {
      assert.match(secret, /\\/, `${secret} is refused`); // no form that Compose and the scripts read alike
      continue;
    }
    const line = `A=${quoted(secret)}\n`;
    assert.equal([valuesOf(line).A, unclearLines(line)], [secret, []], line);
  }
});

const answered = (flags: Flags, values = {}, other = {}, environment: Environment = 'production') =>
  answersTo({ ...known(values, other), environment }, flags, true);

test('another product is one answer', async () => {
  assert.equal(await answered({ domain: 'shop.example' }), {
    DOMAIN: 'shop.example',
    API_DOMAIN: 'api.shop.example',
    APP_NAME: 'shop',
  });
  assert.is((await answered({ domain: 'staging.shop.co.example' }, {}, {}, 'staging')).APP_NAME, 'shop');
  const long = await answered({ domain: `${'a-'.repeat(30)}b.example` });
  assert.is(long.APP_NAME, `${'a-'.repeat(14)}a`);
  // A name that both environments can have: a label that ends with the last character, and one that is cut.
  for (const environment of ['production', 'staging'] as const)
    assert.is(
      (await answered({ domain: `${'a'.repeat(40)}.example` }, {}, {}, environment)).APP_NAME,
      'a'.repeat(29),
    );
  const none = await answered({});
  assert.is(none.API_DOMAIN, `api.${none.DOMAIN}`);
  // A name without a domain would serve the default product’s.
  await refused(() => answered({}, { APP_NAME: 'shop' }), 2, /DOMAIN: needed\n.*--domain/);
});

test('the names of the other environment are the defaults, and nothing else of it', async () => {
  const other = {
    DOMAIN: 'shop.example',
    APP_NAME: 'my-shop',
    S3_BUCKET: 'b',
    BACKEND_IMAGE: 'shop/backend:1',
  };
  const staging = {
    DOMAIN: 'staging.shop.example',
    API_DOMAIN: 'api.staging.shop.example',
    APP_NAME: 'my-shop',
  };
  assert.equal(await answered({}, {}, other, 'staging'), staging);
  assert.is((await answered({}, {}, staging)).DOMAIN, 'shop.example');
});

test('what is set is not asked for, and a flag that contradicts it is refused', async () => {
  const set = { DOMAIN: 'shop.example', API_DOMAIN: 'rest.shop.example', APP_NAME: 'shop' };
  assert.equal(await answered({ domain: 'shop.example', 's3-bucket': '' }, set), {});
  await refused(
    () => answered({ domain: 'other.example' }, set),
    2,
    /--domain: DOMAIN is set to another value/,
  );
  await refused(() => answered({ domain: '' }), 2, /--domain: needed/);
  await refused(() => answered({ domain: 'HTTP://x.example' }), 2, /--domain: .*is x\.example meant\?/);
  await refused(() => answered({ 'backend-image': '$(id)' }), 2, /--backend-image: an image’s name/);
});

test('S3: the keys come from the environment, the region of a copied example can be replaced', async () => {
  await refused(() => answered({ 's3-region': 'eu-west-3' }), 2, /--s3-region belongs to --s3-bucket/);
  const flags = { domain: 'shop.example', 's3-bucket': 'shop-backups', 's3-region': 'eu-west-3' };
  await refused(() => answered(flags), 2, /AWS_ACCESS_KEY_ID: needed\n.*in the environment/);
  const keys = { AWS_ACCESS_KEY_ID: 'AKIASHOP', AWS_SECRET_ACCESS_KEY: 's3cret/of+the-shop' };
  const before = { ...process.env };
  Object.assign(process.env, keys);
  try {
    const made = await answered(flags, { AWS_REGION: 'us-east-1' });
    assert.equal(
      [made.S3_BUCKET, made.AWS_REGION, made.AWS_ACCESS_KEY_ID, made.AWS_SECRET_ACCESS_KEY],
      ['shop-backups', 'eu-west-3', keys.AWS_ACCESS_KEY_ID, keys.AWS_SECRET_ACCESS_KEY],
    );
    assert.is((await answered({ domain: 'shop.example' })).AWS_ACCESS_KEY_ID, undefined, 'without a bucket');
    await refused(
      () => answered(flags, { S3_BUCKET: 'shop-backups', AWS_REGION: 'eu-west-1' }),
      2,
      /AWS_REGION/,
    );
  } finally {
    process.env = before;
  }
});

const plan = (answers: Record<string, string>, env = '', app = '', environment: Environment = 'production') =>
  planFiles(environment, { env, app }, answers, example);
const SHOP = { DOMAIN: 'shop.example', API_DOMAIN: 'api.shop.example', APP_NAME: 'shop' };
const SECRETS = ['POSTGRES_PASSWORD', 'APP_DB_PASSWORD', 'BACKUP_DB_PASSWORD', 'REDIS_PASSWORD'];

test('new files: a secret for each, the URLs, no name of another product, nothing unclear', () => {
  const made = plan(SHOP);
  const [env, app] = [valuesOf(made.env), valuesOf(made.app)];
  const secrets = [...SECRETS.map(name => env[name]), app.JWT_SECRET];
  for (const secret of secrets) assert.match(secret!, /^[0-9a-f]{64}$/);
  assert.is(new Set(secrets).size, secrets.length, 'each has its own');
  assert.equal({ ...env, ...SHOP, DEPLOY_ENV: 'production' }, env);
  assert.is(app.CORS_ORIGIN, 'https://shop.example');
  assert.not.match(made.env + made.app, /neurmatic/i);
  assert.equal([unclearLines(made.env), unclearLines(made.app)], [[], []]);
  const states = urlStates(configOfText('production', made.env));
  assert.equal(
    states.map(({ is }) => is),
    ['right', 'right'],
  );
  // Each variable has its explanation, as in the example.
  assert.equal(Object.keys(env).sort(), Object.keys(valuesOf(envExample())).sort());
  const again = plan({}, made.env, made.app);
  assert.equal(again, { env: made.env, app: made.app, written: { env: [], app: [] } });
});

test('a store of others than Amazon gets the storage class that each has, unless one is chosen', () => {
  const store = { ...SHOP, S3_BUCKET: 'shop-backups', AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' };
  const other = { ...store, S3_ENDPOINT: 'https://s3.example' };
  const chosen = (answers: Record<string, string>, env = '') =>
    valuesOf(plan(answers, env).env).S3_STORAGE_CLASS;
  assert.equal([chosen(other), chosen(other, envExample())], ['STANDARD', 'STANDARD']);
  assert.equal([chosen(store), chosen(other, 'S3_STORAGE_CLASS=GLACIER\n')], ['STANDARD_IA', 'GLACIER']);
});

test('production and staging of one server have no secret in common', () => {
  const all = (['production', 'staging'] as const).flatMap(environment => {
    const { env, app } = plan({ ...SHOP, DOMAIN: `${environment}.shop.example` }, '', '', environment);
    const values = { ...valuesOf(env), ...valuesOf(app) };
    assert.is(values.DEPLOY_ENV, environment);
    assert.match(values.DATABASE_URL!, new RegExp(`/shop_${environment}\\?`));
    return [...SECRETS, 'JWT_SECRET', 'DATABASE_URL', 'REDIS_URL'].map(name => values[name]);
  });
  assert.is(new Set(all).size, all.length);
});

test('a copy of the examples is filled in and keeps each other byte; what is set stays, whatever it is', () => {
  for (const end of ['\n', '\r\n']) {
    const text = envExample()
      .replace('\nREDIS_PASSWORD=', '\nREDIS_PASSWORD=change-me')
      .replaceAll('\n', end);
    const made = plan({ DOMAIN: 'shop.example', API_DOMAIN: 'api.shop.example' }, text, 'JWT_SECRET=mine\n');
    const values = valuesOf(made.env);
    assert.equal([values.REDIS_PASSWORD, valuesOf(made.app).JWT_SECRET], ['change-me', 'mine']);
    assert.equal(made.written.app, []);
    const lines = (all: string) => all.split(end);
    const other = lines(made.env).filter((line, index) => line !== lines(text)[index]);
    assert.equal(other.map(line => line.split('=')[0]).sort(), made.written.env.sort());
    assert.equal(unclearLines(made.env), []);
  }
});

test('passwords of roles are made only for a database that is new', () => {
  const there = plan(SHOP, 'POSTGRES_PASSWORD=known\n');
  assert.not.match(there.env, /DB_PASSWORD=/);
  assert.match(there.env, /^DATABASE_URL=postgresql:\/\/postgres:known@/m);
  const managed = plan(SHOP, 'POSTGRES_CONTAINER=\nPGHOST=db.example\n');
  assert.not.match(managed.env, /POSTGRES_PASSWORD=|DB_PASSWORD=|DATABASE_URL=/);
  assert.match(managed.env, /^REDIS_PASSWORD=./m);
  const own = plan(SHOP, 'DATABASE_URL=postgres://u:p@db.example/x\nREDIS_URL=redis://:x@cache.example\n');
  assert.match(
    own.env,
    /^DATABASE_URL=postgres:\/\/u:p@db.example\/x\nREDIS_URL=redis:\/\/:x@cache\.example$/m,
  );
});

test('of the application only its own empty secrets are filled', () => {
  const app =
    'JWT_SECRET=\nJWT_REFRESH_SECRET=\nSESSION_SECRET=""\nSTRIPE_WEBHOOK_SECRET=\nSMTP_PASSWORD=\n# COOKIE_SECRET=\n';
  const made = valuesOf(plan(SHOP, '', app).app);
  assert.equal(
    Object.keys(made).filter(name => made[name] !== ''),
    ['JWT_SECRET', 'JWT_REFRESH_SECRET', 'SESSION_SECRET'],
  );
  assert.is(plan(SHOP, '', 'A=b\n').app, 'A=b\n');
});

test('a value of several lines that looks like a variable is not overwritten', async () => {
  const pem = "CERTIFICATE='-----BEGIN\nREDIS_PASSWORD=\n-----END'\nREDIS_PASSWORD=\n";
  assert.is(valuesOf(plan(SHOP, pem).env).CERTIFICATE, '-----BEGIN\nREDIS_PASSWORD=\n-----END');
  const last = "REDIS_PASSWORD=\nCERTIFICATE='-----BEGIN\nREDIS_PASSWORD=\n-----END'\n";
  await refused(async () => plan(SHOP, last), 1, /can't set REDIS_PASSWORD.* in \.env\.production/);
});

test.run();
