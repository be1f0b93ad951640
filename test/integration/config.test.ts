/* config.ts --split and --write on files, and what scale.ts says before and after; test/stack/deploy-refusals.test.ts has deploy.ts and rollback.ts. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { valuesOf } from '../../scripts/lib/config/env-file.ts';
import { copyScripts } from '../support/config/copy.ts';
import { history } from '../support/core/world.ts';

const copy = copyScripts();
const { read, write } = copy;
/** Of each script the first run is a process. */
const started = new Set<string>();
const run: typeof copy.run = (script, ...rest) => {
  const first = !started.has(script);
  started.add(script);
  return first ? copy.run(script, ...rest) : copy.here(script, ...rest);
};
const [envFile, appFile] = ['.env.production', '.env.production.app'].map(name => join(copy.directory, name));

const SECRET = `p@:/?#% &+'"$\\ü`;
const quoted = (value: string) => `'${value.replaceAll("'", "\\'")}'`;
const PARTS = `APP_NAME=shop
# PostgreSQL
POSTGRES_PASSWORD=${quoted(SECRET)}
REDIS_PASSWORD=r3dis-password
BACKEND_IMAGE=shop/backend:1
FRONTEND_IMAGE=shop/frontend:1
AWS_ACCESS_KEY_ID=AKIABACKUPS
AWS_SECRET_ACCESS_KEY=s3cret/of+the-backups
`;
const OLD = `${PARTS}
# Tokens
JWT_SECRET=${quoted(SECRET)}
CORS_ORIGIN=https://shop.example
`;

/** The lines of stderr that are no time. */
const refusal = async (script: string, args: string[]) => {
  const { code, stdout, stderr } = await run(script, args);
  assert.not((stdout + stderr).includes(SECRET), 'a value is shown');
  return { code, stderr };
};

test('an env file with the application’s variables: scripts that start backends refuse it and print the command that moves them', async () => {
  write(OLD);
  for (const [script, args] of [
    ['scale', ['3', '--dry-run']],
    ['scale', ['2']],
  ] as const) {
    const { code, stderr } = await refusal(script, [...args]);
    assert.is(code, 2, stderr);
    assert.match(
      stderr,
      /\.env\.production has 2 variables of the application, which gets only those of \.env\.production\.app: JWT_SECRET, CORS_ORIGIN/,
    );
    assert.match(stderr, /→ move them: \.\/scripts\/config\.ts --split$/m);
    assert.match(
      stderr,
      /DATABASE_URL is not set; REDIS_URL is not set\n.*→ write it: \.\/scripts\/config\.ts --write/,
    );
  }
  const before = read();
  const look = await refusal('config', ['--split', '--write', '--dry-run']);
  assert.is(look.code, 0, look.stderr);
  assert.equal(read(), before);
  assert.not(existsSync(join(copy.directory, 'logs/config.log')), 'a look leaves no log');
});

test('--split moves them into a file of the owner’s only; a second run finds nothing', async () => {
  write(OLD);
  const { code, stdout } = await run('config', ['--split', '--json']);
  assert.is(code, 0);
  assert.equal(JSON.parse(stdout), { dryRun: false, moved: ['JWT_SECRET', 'CORS_ORIGIN'], written: [] });
  const [env, app] = read();
  assert.is(env, `${PARTS}\n`);
  assert.ok(app!.endsWith(`# Tokens\nJWT_SECRET=${quoted(SECRET)}\nCORS_ORIGIN=https://shop.example\n`), app);
  assert.equal(valuesOf(app!), { JWT_SECRET: SECRET, CORS_ORIGIN: 'https://shop.example' });
  assert.is(statSync(appFile!).mode & 0o777, 0o600);
  const again = await run('config', ['--split']);
  assert.is(again.stdout, 'no variable to move\n');
  assert.equal(read(), [env, app]);
  const line = history({ env: { STATE_DIR: join(copy.directory, 'state') } } as never).at(-1);
  assert.is(line!.script, 'config.ts');
});

test('--split: killed between the two files, it is repeated; both files with different values are an error', async () => {
  write(OLD);
  await run('config', ['--split']);
  const [env, app] = read();
  write(OLD, app); // the first file is written, the second is not
  assert.is((await run('config', ['--split'])).code, 0);
  assert.equal(read(), [env, app]);

  write(OLD, 'CORS_ORIGIN=https://other.example\n');
  const { code, stderr } = await refusal('config', ['--split']);
  assert.is(code, 2);
  assert.match(stderr, /have different values of CORS_ORIGIN\n/);
  assert.equal(read(), [OLD, 'CORS_ORIGIN=https://other.example\n']);
});

test('--split: a file that can’t be written loses no variable, whichever of the two it is', async () => {
  // Where the new file would be written is a directory: not even root can open it.
  for (const [index, path] of [appFile!, envFile!].entries()) {
    write(OLD);
    mkdirSync(`${path}.partial`);
    assert.is((await run('config', ['--split'])).code, 1);
    const [env, app = ''] = read();
    assert.is(env, OLD, 'the application’s file comes first');
    assert.is(app.includes('JWT_SECRET='), index === 1);
    rmdirSync(`${path}.partial`);
    assert.is((await run('config', ['--split'])).code, 0);
    assert.is(read()[0], `${PARTS}\n`);
    assert.equal(valuesOf(read()[1]!), { JWT_SECRET: SECRET, CORS_ORIGIN: 'https://shop.example' });
  }
});

test('--split follows a link, and keeps the mode and owner that the file has', async () => {
  write(OLD);
  const target = join(copy.directory, 'elsewhere');
  renameSync(envFile!, target);
  symlinkSync(target, envFile!);
  chmodSync(target, 0o640);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(target, 1234, 1235);
  const { code, stderr } = await run('config', ['--split']);
  assert.is(code, 0, stderr);
  assert.ok(lstatSync(envFile!).isSymbolicLink());
  assert.is(statSync(target).mode & 0o777, 0o640);
  assert.is(statSync(appFile!).mode & 0o777, 0o600);
  if (isRoot) {
    assert.equal(
      [statSync(target), statSync(appFile!)].map(({ uid, gid }) => [uid, gid]),
      [
        [1234, 1235],
        [1234, 1235],
      ],
    );
    chownSync(target, 0, 0);
  }
});

test('--write makes the URLs of their parts, says what it falls back on, and leaves the rest of the file', async () => {
  write(PARTS, 'JWT_SECRET=x\n');
  const { code, stdout, stderr } = await run('config', ['--write']);
  assert.is(code, 0, stderr);
  assert.match(stderr, /APP_DB_PASSWORD is empty: the application connects as postgres/);
  assert.match(stdout, /^DATABASE_URL {2}written\nREDIS_URL {2}written$/m);
  const [env] = read();
  assert.ok(env!.startsWith(PARTS), env);
  const { DATABASE_URL, REDIS_URL } = valuesOf(env!);
  assert.is(new URL(DATABASE_URL!).searchParams.get('connection_limit'), '20');
  assert.is(decodeURIComponent(new URL(DATABASE_URL!).password), SECRET);
  assert.is(REDIS_URL, 'redis://:r3dis-password@redis:6379');
  assert.match((await run('config', ['--write'])).stdout, /unchanged: says what its parts say/);
  assert.is(read()[0], env);
});

test('a new password: they are refused until --write, and a URL of another server stays', async () => {
  write(PARTS, 'JWT_SECRET=x\n');
  await run('config', ['--write']);
  const url = valuesOf(read()[0]!).DATABASE_URL;
  const changed = `${read()[0]!.replace(/^POSTGRES_PASSWORD=.*$/m, 'POSTGRES_PASSWORD=n3w-password')}REDIS_URL=redis://:x@cache.example:6380\n`;
  write(changed, 'JWT_SECRET=x\n');
  const { code, stderr } = await refusal('scale', ['2']);
  assert.is(code, 2, stderr);
  assert.match(stderr, /DATABASE_URL does not say what the variables say that it is made of\n/);
  assert.match(stderr, /→ write it: \.\/scripts\/config\.ts --write$/m);
  assert.not.match(stderr, /REDIS_URL/);
  const { stdout } = await run('config', ['--write', '--json']);
  assert.equal(JSON.parse(stdout).written, ['DATABASE_URL']);
  const values = valuesOf(read()[0]!);
  assert.is(
    values.DATABASE_URL,
    'postgresql://postgres:n3w-password@postgres:5432/shop_production?connection_limit=20',
  );
  assert.is.not(values.DATABASE_URL, url);
  assert.is(values.REDIS_URL, 'redis://:x@cache.example:6380');
  assert.match(
    (await run('config', ['--write'])).stdout,
    /REDIS_URL {2}unchanged: names a server that is not the stack’s/,
  );
  // As database-roles.ts leaves the file.
  write(`${read()[0]}APP_DB_PASSWORD=of-the-role-of-shop\n`, 'JWT_SECRET=x\n');
  await run('config', ['--write']);
  const role = new URL(valuesOf(read()[0]!).DATABASE_URL!);
  assert.equal([role.username, role.password], ['shop', 'of-the-role-of-shop']);
});

test('a part that is missing, a file that is missing, and no action are wrong usage', async () => {
  write('APP_NAME=shop\nREDIS_PASSWORD=x\n');
  const missing = await run('config', ['--write']);
  assert.equal([missing.code, read()[0]], [2, 'APP_NAME=shop\nREDIS_PASSWORD=x\n']);
  assert.match(missing.stderr, /POSTGRES_PASSWORD: not set\n/);
  write(undefined);
  for (const flag of ['--write', '--split']) {
    const { code, stderr } = await run('config', [flag]);
    assert.is(code, 2, stderr);
    assert.match(stderr, /there is no \S+\.env\.production\b/);
  }
  assert.is((await run('config', ['--dry-run'])).code, 2);
});

/** What scale.ts finds in the two files, with Docker out of reach. */
async function found(env: string, app?: string): Promise<string> {
  write(env, app);
  await run('config', ['--write']);
  const { code, stderr } = await refusal('scale', ['2']);
  assert.ok(code === 1 || code === 2, stderr);
  return stderr;
}

test('the application’s file: missing, with lines that Compose reads differently, or with what Compose sets', async () => {
  assert.match(
    await found(PARTS),
    /there is no \.env\.production\.app, .*\n.*→ fill in a copy: cp \S+\/\.env\.app\.example \S+\.app && chmod 600 \S+\.app$/m,
  );
  assert.match(
    await found(PARTS, 'A=abc#def\n'),
    /\.env\.production\.app: A: Compose would read another value/,
  );
  assert.match(await found(PARTS, 'PORT=8080\n'), /PORT: Compose sets it to 3000; remove it/);
  assert.match(
    await found(PARTS, 'DATABASE_URL=x\n'),
    /DATABASE_URL: Compose sets it to a value of its own; remove it/,
  );
  const fine = await found(PARTS, 'PORT=3000\nNODE_ENV=production\nAWS_ACCESS_KEY_ID=AKIAOWN\n');
  assert.not.match(fine, /\.app|DATABASE_URL/);
});

test('another product without its domain: refused, or its visitors would be sent to a stranger’s', async () => {
  const missing = /DOMAIN is not set: Nginx would serve \S+, which is not a name of shop/;
  assert.match(await found(PARTS, 'A=b\n'), missing);
  assert.not.match(await found(`${PARTS}DOMAIN=shop.example\n`, 'A=b\n'), missing);
  assert.not.match(await found(PARTS.replace(/^APP_NAME=.*$/m, ''), 'A=b\n'), missing);
});

test('a key of the backups in the application’s file is a warning, by its name', async () => {
  for (const [app, names] of [
    ['AWS_ACCESS_KEY_ID=AKIABACKUPS\n', 'AWS_ACCESS_KEY_ID'],
    [
      'S3_KEY=AKIABACKUPS\nRAW=x:s3cret/of+the-backups\nDIRECT_URL=postgres://u:s3cret%2Fof%2Bthe-backups@x/\n',
      'S3_KEY \\(AWS_ACCESS_KEY_ID\\), RAW \\(AWS_SECRET_ACCESS_KEY\\), DIRECT_URL \\(AWS_SECRET_ACCESS_KEY\\)',
    ],
  ] as const) {
    const stderr = await found(PARTS, app);
    assert.match(
      stderr,
      new RegExp(`warning: \\.env\\.production\\.app has secrets of the scripts: ${names}\n`),
    );
    assert.not.match(stderr, /AKIABACKUPS|s3cret/);
    const { stdout } = await run('health-check', ['--only', 'configuration', '--json']);
    const { status, message } = JSON.parse(stdout).services.configuration;
    assert.is(status, 'warning');
    assert.match(message, /secrets of the scripts/);
  }
});

test('health-check.ts warns of what a deployment refuses; scripts that start no backend do not mind', async () => {
  write(OLD);
  const { stdout, code } = await run('health-check', ['--only', 'configuration', '--json']);
  assert.is(code, 1);
  const { status, message } = JSON.parse(stdout).services.configuration;
  assert.is(status, 'warning');
  assert.match(message, /2 variables of the application.*; DATABASE_URL is not set; REDIS_URL is not set/);
  const list = await run('list-backups', []);
  assert.is(list.code, 0, list.stderr);
  write(`${OLD}S3_BUCKET=\n`, 'A=a#b\n');
  if (process.getuid?.() !== 0) chmodSync(appFile!, 0);
  assert.is((await run('list-backups', [])).code, 0, 'although the application’s file is wrong');
});

test('the copy is removed', () => copy.remove());

test.run();
