import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { localBackups, newestFirst } from '../../../scripts/lib/backup/catalog.ts';
import { list } from '../../../scripts/list-backups.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { watchArguments } from '../../support/core/cmdlines.ts';
import { here } from '../../support/core/here.ts';
import { checkHere, finishHere, makeBackup } from '../../support/core/in-process.ts';
import { recordPrograms } from '../../support/core/recorded-programs.ts';
import { createSecretWorld } from '../../support/core/secret-world.ts';
import { startOnTerminal } from '../../support/core/terminal.ts';
import { history } from '../../support/core/world.ts';

const { MARK, SECRETS, KEY_SECRET, world, told, listener, assertNoSecret, assertSilent } =
  await createSecretWorld();

const RUNS: [script: string, args: string[], expected: number, env?: Record<string, string>][] = [
  ['backup', ['--dry-run'], 0],
  ['backup', ['--format', 'custom', '--json'], 0],
  ['verify-backup', ['latest', '--from', 's3'], 0],
  ['prune-backups', ['--dry-run'], 0],
  ['restore', ['latest', '--yes', '--json'], 0, { MIGRATE_COMMAND: 'echo "to $DATABASE_URL"; env >&2' }],
  // what fails
  [
    'restore',
    ['latest', '--yes'],
    1,
    {
      MIGRATE_COMMAND:
        'echo "error: can not reach $DATABASE_URL with $PGPASSWORD$POSTGRES_PASSWORD" >&2; exit 1',
    },
  ],
  ['backup', [], 4, { S3_BUCKET: 'nowhere' }],
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
  [0, env => list.run({ options: {}, positionals: [], config: () => configOf(world, env) })],
  [0, env => finishHere(world, env)],
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

test('the notifications arrived, without secrets except their own addresses', () => {
  for (const path of ['start', '0', '4']) {
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
  assert.ok(files > 3);
});

test('a secret in an argument is not shown on a terminal, and is neither in the history nor in a manifest', async () => {
  const terminal = startOnTerminal(world, 'backup', ['--label', `with-${KEY_SECRET}`]);
  assert.is(await terminal.ended, 0, terminal.shown());
  assertNoSecret(terminal.shown(), 'the terminal');
  const [newest] = newestFirst(await localBackups(configOf(world, {})));
  assert.is(newest!.manifest.label, 'with-***');
  const entry = history(world).at(-1) as unknown as { arguments: string[] };
  assert.equal(entry.arguments, ['--label', 'with-***']);
});

test('the servers stop', async () => {
  listener.close();
  await world.stop();
});

test.run();
