/* What a rotation asks of the stores, with a real PostgreSQL, and a real Redis that the Compose file's own command starts. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { type Config, ROOT } from '../../scripts/lib/config/config.ts';
import { valuesOf } from '../../scripts/lib/config/env-file.ts';
import { secondLoginOf } from '../../scripts/lib/config/store-urls.ts';
import { newSecret } from '../../scripts/lib/core/redact.ts';
import { run } from '../../scripts/lib/core/shell.ts';
import { freePort } from '../../scripts/lib/drill/free-port.ts';
import {
  dropSecondLogin,
  makeSecondLogin,
  setPassword,
  takesPassword,
} from '../../scripts/lib/postgres/second-login.ts';
import { addPassword, keepOnlyPassword, refuseForgetful } from '../../scripts/lib/secrets/redis-passwords.ts';
import { startRedis } from '../support/app/redis.ts';
import { copyScripts } from '../support/config/copy.ts';
import { startChild } from '../support/core/child.ts';
import { watchArguments } from '../support/core/cmdlines.ts';
import { createWorld } from '../support/core/world.ts';
import { ask } from '../support/postgres/ask.ts';

const SUPERUSER = 'password-of-the-superuser';
const OLD = 'the-old-password-of-the-application';

test('PostgreSQL: a second login acts as the role, and goes without a trace', async () => {
  const world = await createWorld({ password: SUPERUSER });
  try {
    const { postgres } = world.pg;
    const { database } = world;
    await world.sql(`CREATE ROLE shop LOGIN CONNECTION LIMIT 9; REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
      GRANT CONNECT, CREATE, TEMPORARY ON DATABASE ${database} TO shop;
      ALTER SCHEMA public OWNER TO shop; ALTER ROLE shop SET search_path TO "$user", public, "odd ""name";
      ALTER ROLE shop SET statement_timeout = '7s'; ALTER ROLE shop IN DATABASE ${database} SET work_mem = '7MB';
      ALTER ROLE shop SET "app.note" = 'it''s \\ =a'`);
    await setPassword(postgres, database, 'shop', OLD);
    const as = (user: string, password: string, sql: string) =>
      ask({ ...postgres, user, password }, database, sql);
    const isRefused = (user: string, password: string) =>
      as(user, password, 'SELECT 1').then(
        () => false,
        (error: Error) =>
          /password authentication failed|is not permitted to log in|does not exist/.test(error.message),
      );
    const settings = `SELECT current_user, current_setting('search_path'), current_setting('statement_timeout'),
      current_setting('work_mem'), current_setting('app.note')`;
    const ofRole = await as('shop', OLD, settings);
    assert.match(ofRole, /odd ""name/);

    const login = secondLoginOf('shop');
    const [first, second, fresh] = [newSecret(), newSecret(), newSecret()];
    const { leaks } = await watchArguments([SUPERUSER, OLD, first, second, fresh], async () => {
      await makeSecondLogin(postgres, database, 'shop', first);
      await makeSecondLogin(postgres, database, 'shop', second); // repeated, after a kill
    });
    assert.equal(leaks, []);
    assert.equal(
      [await takesPassword(postgres, database, login, first), await isRefused(login, first)],
      [false, true],
    );
    assert.is(await takesPassword(postgres, database, login, second), true);
    assert.is(await as(login, second, settings), ofRole, 'the settings of the role');
    assert.is(await as('shop', OLD, settings), ofRole, 'both are valid');
    await as(
      login,
      second,
      'CREATE TABLE made_by_second (i int); CREATE SCHEMA own; SET ROLE NONE; CREATE TEMPORARY TABLE t (i int)',
    );
    const owner = `SELECT tableowner FROM pg_tables WHERE tablename = 'made_by_second'`;
    assert.is((await world.sql(owner)).trim(), 'shop');

    await setPassword(postgres, database, 'shop', fresh);
    assert.equal([await isRefused('shop', OLD), await isRefused('shop', fresh)], [true, false]);
    assert.is((await as(login, second, 'SELECT current_user')).trim(), 'shop', 'still valid');
    // A client that has left the role owns what it makes.
    await world.sql(`CREATE TABLE left_role (i int); ALTER TABLE left_role OWNER TO ${login}`);
    await dropSecondLogin(postgres, database, 'shop');
    await dropSecondLogin(postgres, database, 'shop');
    assert.is(await isRefused(login, second), true);
    assert.is(
      (await world.sql(`SELECT tableowner FROM pg_tables WHERE tablename = 'left_role'`)).trim(),
      'shop',
    );
    assert.is((await world.sql(`SELECT count(*) FROM pg_roles WHERE rolname LIKE 'shop%'`)).trim(), '1');
    assert.is(secondLoginOf('x'.repeat(63)).length, 63);
  } finally {
    await world.stop();
  }
});

test('the script, with a real PostgreSQL: the role of backups gets a new password, and nothing shows one', async () => {
  const world = await createWorld({ password: SUPERUSER });
  const copy = copyScripts('docker-compose.production.yml');
  const bin = join(copy.directory, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'docker'), '#!/bin/sh\n', { mode: 0o755 }); // there is no container
  const env = { PATH: `${bin}${delimiter}${world.env.PATH}` };
  const { postgres } = world.pg;
  const logsIn = (password: string) =>
    ask({ ...postgres, user: 'backup', password }, world.database, 'SELECT 1').then(
      () => true,
      () => false,
    );
  const old = 'the old "password" of $backups';
  try {
    await world.sql(`CREATE ROLE backup LOGIN; GRANT CONNECT ON DATABASE ${world.database} TO backup`);
    await setPassword(postgres, world.database, 'backup', old);
    const variables = {
      ...world.pg.env,
      POSTGRES_CONTAINER: '',
      POSTGRES_DB: world.database,
      POSTGRES_PASSWORD: SUPERUSER,
    };
    const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
    copy.write(`# head\n${lines.join('')}BACKUP_DB_PASSWORD='${old}'\nX=1\n`, 'JWT_SECRET=x\n');
    const look = await copy.here('secrets', ['rotate', 'BACKUP_DB_PASSWORD', '--dry-run'], env);
    assert.match(
      look.stdout,
      /^BACKUP_DB_PASSWORD: no backend is replaced.*\n {2}new password\n {2}backup service$/m,
      look.stderr,
    );
    assert.is(await logsIn(old), true, 'a look changes nothing');

    const { leaks } = await watchArguments([old, SUPERUSER], async () => {
      const { code, stdout, stderr } = await copy.here(
        'secrets',
        ['rotate', 'BACKUP_DB_PASSWORD', '--yes', '--json'],
        env,
      );
      assert.is(code, 0, stderr);
      assert.equal(JSON.parse(stdout), { environment: 'production', rotated: ['BACKUP_DB_PASSWORD'] });
      const fresh = valuesOf(copy.read()[0]!).BACKUP_DB_PASSWORD!;
      assert.match(fresh, /^[0-9a-f]{64}$/);
      const files = ['logs/secrets.log', 'state/history.jsonl', '.env.production.ages'].map(name =>
        readFileSync(join(copy.directory, name), 'utf8'),
      );
      for (const secret of [fresh, old, SUPERUSER])
        assert.not.ok([stdout, stderr, ...files].some(text => text.includes(secret)));
      assert.match(files[1]!, /"script":"secrets\.ts","arguments":\["rotate","BACKUP_DB_PASSWORD"/);
      assert.equal([await logsIn(fresh), await logsIn(old)], [true, false]);
    });
    assert.equal(leaks, []);
    const [text] = copy.read();
    assert.is(
      text,
      `# head\n${lines.join('')}BACKUP_DB_PASSWORD=${valuesOf(text!).BACKUP_DB_PASSWORD}\nX=1\n`,
    );
    assert.is(existsSync(join(copy.directory, 'state/production.rotate.json')), false);
    const status = await copy.here('secrets', ['status', '--json'], env);
    const { secrets } = JSON.parse(status.stdout) as {
      secrets: { name: string; ageDays: number; older: boolean }[];
    };
    const { ageDays, older } = secrets.find(({ name }) => name === 'BACKUP_DB_PASSWORD')!;
    assert.equal([ageDays, older], [0, false]);
    const managed = await copy.here('secrets', ['rotate', 'POSTGRES_PASSWORD', '--yes'], env);
    assert.match(managed.stderr, /POSTGRES_CONTAINER is empty/);
  } finally {
    copy.remove();
    await world.stop();
  }
});

/** The command of the service, with its directory in the place of /data. */
function commandOf(directory: string): string[] {
  const { services } = parse(readFileSync(join(ROOT, 'docker-compose.production.yml'), 'utf8'), {
    merge: true,
  });
  return (services.redis.command as unknown[]).map(word =>
    `${word}`.replaceAll('$$', '$').replaceAll('/data/', `${directory}/`),
  );
}

test('Redis: two passwords at once, over a restart; another container has the one that it is given', async () => {
  await (await startRedis()).stop(); // installs it where it is missing
  const directory = mkdtempSync(join(tmpdir(), 'redis-users-'));
  const bin = mkdtempSync(join(tmpdir(), 'redis-bin-'));
  const port = await freePort();
  // Debian's server has another name; Docker's exec runs the program here.
  writeFileSync(
    join(bin, 'redis-server'),
    `#!/bin/sh\nexec bash -c 'exec -a redis-server redis-check-rdb "$@"' x "$@"\n`,
    { mode: 0o755 },
  );
  writeFileSync(
    join(bin, 'docker'),
    `#!/bin/sh\nshift 5\nexec redis-cli -p ${port} "$@" | sed 's|${directory}|/data|'\n`,
    { mode: 0o755 },
  );
  const { PATH } = process.env;
  process.env.PATH = `${bin}${delimiter}${PATH}`;
  const start = async (container: string, password: string) => {
    const [program, ...args] = commandOf(directory);
    const child = startChild(
      program!,
      [...args, '--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory],
      {
        env: { ...process.env, HOSTNAME: container, REDISCLI_AUTH: password },
      },
    );
    await child.line(/Ready to accept connections/);
    return child;
  };
  const reply = (password: string, ...words: string[]) =>
    run(['redis-cli', '-h', '127.0.0.1', '-p', `${port}`, ...words], {
      purpose: 'ask',
      env: { REDISCLI_AUTH: password },
    }).catch((error: Error) => error.message);
  const takes = async (...passwords: string[]) =>
    Promise.all(passwords.map(async each => /PONG/.test(await reply(each, 'PING'))));
  const [old, fresh, last] = ['a "word" with $ and #', newSecret(), newSecret()];
  const config = (redisPassword: string) =>
    ({ app: 'shop', environment: 'production', redisPassword }) as Config;
  let child = await start('container-1', old);
  try {
    await refuseForgetful(config(old));
    assert.match(await reply('anything', '--user', 'probe', 'PING'), /PONG/);
    assert.match(await reply('anything', '--user', 'probe', 'GET', 'x'), /NOPERM/);
    const { leaks } = await watchArguments([old, fresh], () => addPassword(config(old), fresh));
    assert.equal(leaks, []);
    assert.equal(await takes(old, fresh, last), [true, true, false]);
    await child.stop();
    child = await start('container-1', old);
    assert.equal(await takes(old, fresh), [true, true], 'the same container, started again');
    await keepOnlyPassword(config(fresh));
    assert.equal(await takes(old, fresh), [false, true]);
    await child.stop();
    child = await start('container-1', old);
    assert.equal(await takes(old, fresh), [false, true], 'a restart does not bring the old one back');
    assert.match(await reply('anything', '--user', 'probe', 'PING'), /PONG/);
    await child.stop();
    child = await start('container-2', last);
    assert.equal(await takes(old, fresh, last), [false, false, true], 'another container');
    const error = await refuseForgetful(config(old)).catch((thrown: Error) => thrown);
    assert.match((error as Error).message, /REDIS_PASSWORD is not the password of Redis/);
  } finally {
    process.env.PATH = PATH;
    await child.stop();
    for (const each of [directory, bin]) rmSync(each, { recursive: true });
  }
});

test.run();
