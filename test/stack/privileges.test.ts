/**
 * What the containers that really run hold: variables, mounts, networks, secrets. Each has its reason in lib/privileges.ts.
 * The backup service: backup-service.test.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GROUPS, SECRET } from '../../scripts/lib/config/variables.ts';
import { attempt } from '../engine/process.ts';
import { startProgram, until } from '../support/core/world.ts';
import {
  assertPrivileges,
  imageEnvironment,
  migrating,
  ownNames,
  PRIVILEGES,
  secretsIn,
} from './lib/privileges.ts';
import { resolved } from './lib/resolved.ts';
import { sharedStack } from './lib/shared.ts';
import { ROOT } from './lib/stack.ts';

const stack = await sharedStack();
const NAMES = Object.values(GROUPS).flatMap(group => Object.keys(group));

for (const [service, privileges] of Object.entries(PRIVILEGES))
  test(`${service} has the variables, mounts, networks and secrets that it needs, and no other`, () =>
    assertPrivileges(stack, service, privileges));

test('the container that migrates has the variables of a backend, and docker inspect shows none of them', async () => {
  const name = stack.container('migrate');
  stack.atExit(['rm', '--force', name]);
  const wait = 'env > /tmp/variables; until [ -e /tmp/go ]; do sleep 0.1; done';
  const argv = ['--input-type=module', '--eval', migrating(stack, wait)];
  const run = startProgram(process.execPath, argv, { ...(stack.engine.env as Record<string, string>) });
  const variables = () => attempt('docker', ['exec', name, 'cat', '/tmp/variables'], stack.engine);
  await until('it has written its variables', async () => (await variables()).stdout.includes('REDIS_URL='));
  const lines = (await variables()).stdout.trimEnd().split('\n');
  const text = await stack.docker('inspect', '--type', 'container', name);
  await stack.docker('exec', name, 'touch', '/tmp/go');
  const { code, stderr } = await run.ended;
  assert.is(code, 0, stderr);

  const [{ Mounts, HostConfig, Config, Image }] = JSON.parse(text);
  const ofImage = await imageEnvironment(stack, Image);
  const ofShell = ['HOME', 'HOSTNAME', 'PWD', 'SHLVL', 'OLDPWD', '_'];
  const expected = Object.keys(PRIVILEGES['backend-1']!.environment).filter(
    each => !ofImage.some(entry => lines.includes(entry) && entry.startsWith(`${each}=`)),
  );
  assert.equal(
    ownNames(lines, ofImage).filter(each => !ofShell.includes(each)),
    expected.sort(),
  );
  const valueIn = (each: string) => lines.find(line => line.startsWith(`${each}=`))?.slice(each.length + 1);
  assert.is(valueIn('JWT_SECRET'), stack.variables.JWT_SECRET);
  assert.is(valueIn('REDIS_URL'), stack.variables.REDIS_URL);
  assert.is(decodeURIComponent(new URL(valueIn('DATABASE_URL')!).password), stack.variables.APP_DB_PASSWORD);
  assert.equal(ownNames(Config.Env ?? [], ofImage), []);
  assert.equal(secretsIn(text, stack.variables), []);
  assert.equal(Mounts, []);
  assert.match(HostConfig.NetworkMode, /^container:/);
});

/** Which services may have a secret of the env file, each with a value of its own. */
const HOLDERS: Record<string, RegExp> = {
  ADMIN_HASHED_PASSWORD: /^nginx$/,
  APP_DB_PASSWORD: /^postgres$/, // to the backends as a part of DATABASE_URL
  AWS_ACCESS_KEY_ID: /^backup$/,
  AWS_SECRET_ACCESS_KEY: /^backup$/,
  AWS_SESSION_TOKEN: /^backup$/,
  BACKUP_DB_PASSWORD: /^(postgres|backup)$/,
  BACKUP_PING_URL: /^backup$/,
  BACKUP_SIGNING_KEY: /^backup$/,
  BACKUP_SIGNING_KEY_PREVIOUS: /^backup$/,
  DATABASE_URL: /^backend-[1-8]$/,
  POSTGRES_PASSWORD: /^postgres$/, // to the backup service only without BACKUP_DB_PASSWORD
  REDIS_PASSWORD: /^redis$/,
  REDIS_URL: /^backend-[1-8]$/,
  S3_SSE_KMS_KEY_ID: /^backup$/,
  SLACK_WEBHOOK_URL: /^backup$/,
  WEBHOOK_URL: /^backup$/,
};

/** When passwords have been replaced, PostgreSQL's container keeps those of its first start. */
const ROTATED: Record<string, RegExp | undefined> = {
  ...HOLDERS,
  APP_DB_PASSWORD: undefined,
  BACKUP_DB_PASSWORD: /^backup$/,
  POSTGRES_PASSWORD: undefined,
  INITIAL_APP_DB_PASSWORD: /^postgres$/,
  INITIAL_BACKUP_DB_PASSWORD: /^postgres$/,
  INITIAL_POSTGRES_PASSWORD: /^postgres$/,
};

const KEPT = /^INITIAL_/;
for (const environment of ['production', 'staging'] as const)
  test(`${environment}: of all secrets of the env file, each service has its own, and none in an argument, label or check`, async () => {
    const all = NAMES.filter(name => SECRET.test(name));
    for (const [names, holders] of [
      [all.filter(name => !KEPT.test(name)), HOLDERS],
      [all, ROTATED],
    ] as const) {
      const secrets = Object.fromEntries(
        names.map(name => [name, `the-secret-of-${name.toLowerCase()}-alone`]),
      );
      const { services } = await resolved(environment, secrets);
      for (const [name, { environment: given = {}, ...rest }] of Object.entries(services)) {
        const own = names.filter(secret => holders[secret]?.test(name));
        assert.equal(secretsIn(JSON.stringify(given), secrets), own.sort(), name);
        assert.equal(secretsIn(JSON.stringify(rest), secrets), [], name);
      }
    }
  });

test('a change of a variable of the scripts makes no container another one, but the backup service’s', async () => {
  const path = join(stack.directory, '.env.production');
  const text = readFileSync(path, 'utf8');
  const compose = readFileSync(join(ROOT, 'docker-compose.production.yml'), 'utf8');
  const ofCompose = new Set([...compose.matchAll(/(?<!\$)\$\{([A-Z0-9_]+)/g)].map(([, name]) => name));
  const changed = NAMES.filter(name => !ofCompose.has(name)).map(name => `${name}=another-value\n`);
  assert.ok(changed.length > 40, `${changed.length}`);
  const hashes = async () => {
    const lines = (await stack.compose('--profile', '*', 'config', '--hash', '*')).trim().split('\n');
    return Object.fromEntries(lines.map(line => line.split(' ') as [string, string]));
  };
  const ids = () => stack.compose('ps', '--quiet', '--no-trunc');
  const before = [await hashes(), await ids()] as const;
  try {
    writeFileSync(path, text + changed.join(''));
    const after = await hashes();
    const other = Object.keys(after).filter(name => after[name] !== before[0][name]);
    assert.equal(other, ['backup']);
    await stack.compose('up', '--detach', '--no-build', '--wait');
    assert.is(await ids(), before[1]);
  } finally {
    writeFileSync(path, text);
  }
});

test.run();
