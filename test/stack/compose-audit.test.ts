/** Holds the Compose files to the hardening rules of lib/compose-rules.ts. An exception that is no longer needed fails, too. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readEnvFile } from '../../scripts/lib/config/env-file.ts';
import { ensureEngine } from '../engine/engine.ts';
import { CLEAR, composeReads, UNCLEAR } from '../support/config/env-lines.ts';
import { madeBy } from '../support/setup/made.ts';
import { PASSWORD, RULES } from './lib/compose-rules.ts';
import { type Mount, type Resolved, resolved } from './lib/resolved.ts';
import { layOut, ROOT } from './lib/stack.ts';

const secrets = {
  POSTGRES_PASSWORD: PASSWORD,
  REDIS_PASSWORD: PASSWORD,
  DATABASE_URL: `postgresql://x:${PASSWORD}@postgres/x`,
  REDIS_URL: `redis://:${PASSWORD}@redis`,
};
const FILES: Record<string, Resolved> = {
  production: await resolved('production', secrets),
  staging: await resolved('staging', secrets),
};

for (const [environment, file] of Object.entries(FILES)) {
  for (const { says, cis, owasp, holds, except = {} } of RULES) {
    const numbers = [cis && `CIS ${cis}`, owasp && `OWASP ${owasp}`].filter(Boolean).join(', ');
    test(`${environment}: every service ${says}${numbers && ` (${numbers})`}`, () => {
      const broken = Object.keys(file.services).filter(name => !holds(file.services[name]!, file));
      assert.equal(broken.sort(), Object.keys(except).sort());
    });
  }

  test(`${environment}: the stores are only on the internal network (OWASP rule 5)`, () => {
    assert.is(file.networks.data!.internal, true);
    for (const store of ['postgres', 'redis'])
      assert.equal(Object.keys(file.services[store]!.networks!), ['data']);
    const members = Object.keys(file.services).filter(name => 'data' in file.services[name]!.networks!);
    assert.equal(
      members.filter(name => !/^(backend-[1-8]|backup|postgres|redis)$/.test(name)),
      [],
    );
    assert.not('data' in file.services.nginx!.networks!, 'Nginx, which is public, does not reach the stores');
  });

  test(`${environment}: the backup service has only the role of backups, once that has a password`, async () => {
    const roles = { BACKUP_DB_PASSWORD: 'of-the-backup-role', APP_DB_PASSWORD: 'of-the-application' };
    const own = (await resolved(environment as 'production', { ...secrets, ...roles })).services.backup!;
    assert.is(own.environment!.PGUSER, 'backup');
    assert.is(own.environment!.POSTGRES_PASSWORD, roles.BACKUP_DB_PASSWORD);
    const text = JSON.stringify(own.environment);
    for (const secret of [PASSWORD, roles.APP_DB_PASSWORD]) assert.not(text.includes(secret));
    const before = file.services.backup!.environment!;
    assert.is(before.PGUSER, '');
    assert.is(before.POSTGRES_PASSWORD, PASSWORD);
  });

  test(`${environment}: the backup service has the directories of the scripts on the server, wherever they are`, async () => {
    const sources = ({ services }: Resolved) =>
      Object.fromEntries(
        services
          .backup!.volumes!.filter(({ type }) => type === 'bind')
          .map(({ source, target }) => [target, source]),
      );
    const other = await resolved(environment as 'production', {
      ...secrets,
      BACKUP_DIR: '/srv/backups',
      LOG_DIR: './elsewhere/logs',
      STATE_DIR: '/srv/state',
      HOOKS_DIR: '/srv/hooks',
    });
    const targets = {
      '/app/backups': '/srv/backups',
      '/app/state': '/srv/state',
      '/app/hooks': '/srv/hooks',
    };
    assert.equal(sources(other), { ...targets, '/app/logs': '/opt/app/elsewhere/logs' });
    const usual = ['backups', 'logs', 'state', 'hooks'].map(name => [`/app/${name}`, `/opt/app/${name}`]);
    assert.equal(sources(file), Object.fromEntries(usual));
    assert.is(other.services.backup!.environment!.BACKUP_DIR, '/app/backups');
  });

  test(`${environment}: no service but PostgreSQL has its data, and the backup service only looks at their disk`, () => {
    const users = Object.entries(file.services).flatMap(([name, { volumes = [] }]) =>
      volumes.filter(({ source }) => source === 'postgres_data').map(mount => [name, mount]),
    );
    const { backup, postgres, ...others } = Object.fromEntries(users);
    assert.equal(others, {});
    const { target } = postgres as Mount;
    const volume = { nocopy: true };
    assert.equal(backup, { type: 'volume', source: 'postgres_data', target, read_only: true, volume });
    assert.is.not(file.services.backup!.user, file.services.postgres!.user, 'only its owner may enter it');
  });

  test(`${environment}: PostgreSQL’s container is the same one after its passwords are replaced, and Redis’ is not`, async () => {
    const roles = { APP_DB_PASSWORD: 'of-the-application', BACKUP_DB_PASSWORD: '' };
    const initial = { INITIAL_APP_DB_PASSWORD: roles.APP_DB_PASSWORD, INITIAL_BACKUP_DB_PASSWORD: '' };
    const replaced = {
      ...secrets,
      INITIAL_POSTGRES_PASSWORD: PASSWORD,
      POSTGRES_PASSWORD: 'another',
      REDIS_PASSWORD: 'another',
    };
    const [before, after] = await Promise.all(
      [
        { ...secrets, ...roles },
        { ...replaced, ...initial, APP_DB_PASSWORD: 'another', BACKUP_DB_PASSWORD: 'another' },
      ].map(async given => (await resolved(environment as 'production', given)).services),
    );
    assert.equal(after!.postgres, before!.postgres);
    assert.not.equal(after!.redis, before!.redis);
  });

  test(`${environment}: the eight backends are one definition`, () => {
    const backends = Array.from({ length: 8 }, (_, i) => {
      const {
        container_name,
        environment: variables,
        profiles,
        ...rest
      } = file.services[`backend-${i + 1}`]!;
      assert.is(container_name, `neurmatic-backend-${i + 1}-${environment}`);
      assert.is(rest.hostname, undefined, 'a one-off container would answer to it, too');
      const { INSTANCE_ID, ...same } = variables!;
      assert.is(INSTANCE_ID, `backend-${i + 1}`);
      assert.equal(profiles, i < 2 ? undefined : ['scale']);
      return { ...rest, environment: same };
    });
    for (const backend of backends) assert.equal(backend, backends[0]);
  });

  test(`${environment}: the temporary frontend is a copy of the frontend, and does not start by itself`, () => {
    const { container_name: _, ...frontend } = file.services.frontend!;
    const { container_name, profiles, ...temporary } = file.services['frontend-2']!;
    assert.is(container_name, `neurmatic-frontend-2-${environment}`);
    assert.equal(profiles, ['scale']);
    assert.equal(temporary, frontend);
  });

  test(`${environment}: Redis keeps less than its container has, evicts no job, and persists all data`, () => {
    const { command = [], mem_limit } = file.services.redis!;
    const setting = (name: string) => command[command.indexOf(`--${name}`) + 1];
    assert.is(setting('maxmemory'), environment === 'production' ? '2gb' : '512mb');
    const bytes =
      parseInt(setting('maxmemory')!, 10) * (setting('maxmemory')!.endsWith('gb') ? 2 ** 30 : 2 ** 20);
    assert.ok(bytes * 2 <= Number(mem_limit), 'a fork may hold all of it twice');
    assert.is(setting('maxmemory-policy'), 'volatile-lru');
    assert.is(setting('appendonly'), 'yes');
    assert.match(setting('save')!, /^\d+ \d+/);
  });
}

test('after an update, Compose starts nothing without the application’s file or a URL, and says which', async () => {
  const stack = await layOut('production', secrets);
  const refusal = () =>
    stack.compose('create', '--pull', 'never', 'backend-1').then(
      () => 'it was accepted',
      (error: Error) => error.message,
    );
  const [envFile, appFile] = ['.env.production', '.env.production.app'].map(name =>
    join(stack.directory, name),
  );
  const text = readFileSync(envFile!, 'utf8');
  for (const name of ['DATABASE_URL', 'REDIS_URL']) {
    writeFileSync(envFile!, text.replace(new RegExp(`^${name}=.*\n`, 'm'), ''));
    assert.match(
      await refusal(),
      new RegExp(`${name} is not set .*config\\.ts --write --env production writes it`),
    );
  }
  writeFileSync(envFile!, text);
  rmSync(appFile!);
  assert.match(await refusal(), /\.env\.production\.app/);
});

for (const environment of ['production', 'staging'] as const)
  test(`${environment}: Compose refuses an env file whose DEPLOY_ENV is another environment`, async () => {
    const other = environment === 'production' ? 'staging' : 'production';
    const mounts = async (own: string) =>
      (await resolved(environment, { ...secrets, DEPLOY_ENV: own })).services.nginx!.configs;
    assert.equal(await mounts(environment), FILES[environment]!.services.nginx!.configs);
    assert.equal(await mounts(''), FILES[environment]!.services.nginx!.configs);
    for (const wrong of [other, environment.toUpperCase(), `${environment}-2`]) {
      const refusal = await mounts(wrong).then(
        () => 'it was accepted',
        (error: Error) => error.message,
      );
      assert.match(refusal, `refers to undefined config DEPLOY_ENV-is-${wrong}:`);
    }
  });

test('Compose accepts what init.ts writes, and init.ts reads the limits from it', async () => {
  const env = (await ensureEngine()).env as Record<string, string>;
  const images = ['--backend-image', 'shop/backend:1', '--frontend-image', 'shop/frontend:1'];
  for (const environment of ['production', 'staging']) {
    const made = await madeBy(env, environment, ['--domain', 'shop.example', ...images]);
    assert.equal(made.missing, []);
    assert.match(made.next, /^docker compose .*up -d --wait$/);
    const said = (name: string) => made.checks.find(each => each.name === name)!;
    assert.match(said('docker').message, /^Docker Engine \d+\..*, Compose \d+\./);
    assert.match(said('memory').message, /the limits of the containers/);
    assert.is(made.services.nginx!.environment!.DOMAIN, 'shop.example');
    assert.match(made.services['backend-1']!.environment!.JWT_SECRET!, /^[0-9a-f]{64}$/);
    assert.is(made.services['backend-1']!.image, 'shop/backend:1');
  }
});

test('dclint finds nothing in either file', () => {
  const files = readdirSync(ROOT).filter(name => /^docker-compose\..*\.yml$/.test(name));
  assert.equal(files.sort(), ['docker-compose.production.yml', 'docker-compose.staging.yml']);
  const dclint = join(ROOT, 'node_modules/.bin/dclint');
  const args = [dclint, '--config', '.dclintrc.yaml', '--max-warnings', '0', '--formatter', 'json', ...files];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  assert.is(status, 0, stdout + stderr);
});

test('Compose reads the lines of an env file that the scripts take as they do, and none of those that they refuse', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'env-lines-'));
  const { env } = await ensureEngine();
  const reads = (text: string) => composeReads(env, directory.path, text);
  const clear = Object.entries(CLEAR);
  const file = clear.map(([behind], index) => `A${index}=${behind}\n`).join('');
  const expected = Object.fromEntries(clear.map(([, value], index) => [`A${index}`, value]));
  assert.equal(await reads(file), expected);
  const path = join(directory.path, 'file');
  writeFileSync(path, file);
  assert.equal(readEnvFile(path).values, expected);
  for (const behind of UNCLEAR) {
    writeFileSync(path, `A=${behind}`);
    const compose = await reads(`A=${behind}`).catch(() => 'an error');
    assert.not.equal(compose, readEnvFile(path).values, behind);
  }
});

test.run();
