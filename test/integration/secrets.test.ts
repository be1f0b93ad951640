import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backup } from '../../scripts/backup.ts';
import { dryRun } from '../../scripts/lib/backup/run-backup.ts';
import { client } from '../../scripts/lib/postgres/client.ts';
import { list } from '../../scripts/list-backups.ts';
import { prune } from '../../scripts/prune-backups.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { runHere } from '../support/cli/commands.ts';
import { watchArguments } from '../support/core/cmdlines.ts';
import { here } from '../support/core/here.ts';
import { checkHere, finishHere, makeBackup } from '../support/core/in-process.ts';
import { recordPrograms } from '../support/core/recorded-programs.ts';
import { createSecretWorld } from '../support/core/secret-world.ts';

const { MARK, SECRETS, PASSWORD, world, told, listener, assertNoSecret, assertSilent } =
  await createSecretWorld();

/** More of them, and a secret in an argument, on a terminal: test/long/integration/secrets.test.ts. */
const RUNS: [script: string, args: string[], expected: number, env?: Record<string, string>][] = [
  ['backup', ['--format', 'custom', '--json'], 0],
  // what fails
  [
    'restore',
    ['latest', '--yes', '--json'],
    1,
    {
      MIGRATE_COMMAND:
        'echo "to $DATABASE_URL"; env >&2; echo "error: can not reach $DATABASE_URL with $PGPASSWORD$POSTGRES_PASSWORD" >&2; exit 1',
    },
  ],
  ['backup', [], 2, { SLACK_WEBHOOK_URL: `${MARK} not a URL`, POSTGRES_DB: MARK.repeat(4) }],
  [
    'backup',
    [],
    1,
    {
      PGPORT: '1',
      SLACK_WEBHOOK_URL: `http://127.0.0.1:1/${MARK}`,
      BACKUP_PING_URL: `http://${MARK}.invalid/`,
    },
  ],
];

type Env = Record<string, string>;

/** More, done in this process: of each kind there is a script among those above. */
const CALLS: [expected: number, call: (env: Env) => Promise<unknown>, env?: Env][] = [
  [0, env => dryRun(configOf(world, env), 'plain')],
  [0, env => checkHere(world, 'latest', env, 's3')],
  [0, env => runHere(prune, ['--dry-run'], configOf(world, env))],
  [0, env => list.run({ options: {}, positionals: [], config: () => configOf(world, env) })],
  [1, env => finishHere(world, env)],
  [
    1,
    env => runHere(backup, ['--label', `with ${PASSWORD}`], configOf(world, env)),
    { PGPORT: '1' }, // and it is notified
  ],
  [1, env => makeBackup(world, {}, env), { POSTGRES_USER: 'nobody' }],
  [1, env => makeBackup(world, {}, env), { POSTGRES_DB: 'nowhere' }],
  [4, env => checkHere(world, 'latest', env, 's3'), { AWS_ACCESS_KEY_ID: 'NOBODY' }],
];

test('no run shows a secret, in its output or in the arguments of any process', async () => {
  const { PATH = '' } = world.env;
  const recorder = recordPrograms(world.directory, PATH);
  world.env.PATH = recorder.path;
  const { leaks, programs } = await watchArguments(SECRETS, async () => {
    for (const [script, args, expected, env] of RUNS) {
      const ended = await world.run(script, args, env);
      assert.is(ended.code, expected, `${script} ${args.join(' ')}: ${ended.stderr}`);
      assertSilent(ended);
      if (env?.MIGRATE_COMMAND && expected === 1)
        assert.match(ended.stderr, '***', 'it had something to hide');
    }
    for (const [expected, call, env = {}] of CALLS) {
      const done = await here(world, env, () => call(env));
      const said = `${done.stderr}${done.error}${JSON.stringify(done.value)}`;
      assert.is(done.code, expected, said);
      assertNoSecret(said, JSON.stringify(env));
    }
  });
  world.env.PATH = PATH;
  assert.equal(leaks, []);
  assert.ok(
    programs.some(program => program.endsWith('/node')),
    'scripts themselves are seen, which have no name on PATH',
  );
  const starts = recorder.starts();
  const names = new Set(starts.map(([name]) => name));
  for (const program of [
    'sh',
    'bash',
    'pg_dump',
    'pg_dumpall',
    'psql',
    'pg_restore',
    'gzip',
    'zstd',
    'flock',
  ])
    assert.ok(names.has(program), `${program} was seen among ${[...names].join(', ')}`);
  for (const start of starts) assertNoSecret(start.join(' '), 'the arguments of a program');
});

test('a secret in a result or in a refused argument is hidden, before the text of an error is changed', async () => {
  const address = `${MARK}@example.org`;
  const crontab = await world.run('schedule', ['print'], {
    SCHEDULE_MAILTO: address,
    REDIS_PASSWORD: address,
  });
  assert.is(crontab.code, 0, crontab.stderr);
  assertSilent(crontab);
  assert.match(crontab.stdout, /^MAILTO=\*\*\*$/m);
  const password = `${MARK}|with  spaces`;
  const check = await world.run('health-check', ['--nagios', '--only', password], {
    REDIS_PASSWORD: password,
  });
  assert.is(check.code, 3, check.stderr);
  assertSilent(check);
  assert.match(check.stdout, /^UNKNOWN - there is no check "\*\*\*"$/m);
});

test('the notifications arrived, without secrets except their own addresses', () => {
  assert.ok(
    told.some(({ path, body }) => path === `/${MARK}-slack` && /backup neurmatic_production_/.test(body)),
  );
  assert.ok(told.some(({ body }) => /backup FAILED/.test(body)));
  for (const path of ['start', '0', '1']) {
    assert.ok(
      told.some(each => each.path === `/${MARK}-ping/${path}`),
      path,
    );
  }
  for (const { body } of told) assertNoSecret(body, 'a notification');
});

test('every file is its owner’s only, and holds no secret and no role’s password', () => {
  let files = 0;
  for (const directory of [world.env.BACKUP_DIR!, world.env.LOG_DIR!, world.env.STATE_DIR!]) {
    assert.is(statSync(directory).mode & 0o777, 0o700, directory);
    for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
      const path = join(directory, name);
      const isDirectory = statSync(path).isDirectory();
      assert.is(statSync(path).mode & 0o777, isDirectory ? 0o700 : 0o600, path);
      if (isDirectory) continue;
      const content = readFileSync(path);
      assertNoSecret(content.toString('latin1'), path);
      if (!name.endsWith('.gz')) continue;
      const text = gunzipSync(content).toString();
      assertNoSecret(text, path);
      assert.not.match(text, /SCRAM-SHA-256|PASSWORD '/);
      files++;
    }
  }
  assert.ok(files > 1, `${files} files`);
});

test('a container’s client gets its password by name, not in its arguments', () => {
  const { argv, env } = client({ user: 'u', password: PASSWORD, database: 'd', container: 'c' }, ['psql']);
  assert.equal(argv.slice(0, 3), ['docker', 'exec', '-i']);
  assertNoSecret(argv.join(' '), 'the arguments');
  assert.ok(argv.join(' ').includes('-e PGPASSWORD '));
  assert.is(env.PGPASSWORD, PASSWORD);
});

test('the servers stop', async () => {
  listener.close();
  await world.stop();
});

test.run();
