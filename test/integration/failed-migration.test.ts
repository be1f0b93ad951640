/** A migration that has failed: the plan says so with the command that resolves it, and that command does. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deploy } from '../../scripts/deploy.ts';
import { loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { serverPrograms } from '../../scripts/lib/drill/postgres-process.ts';
import { refuseFailed, resolveCommand } from '../../scripts/lib/migrations/failed.ts';
import { migrate, startDatabase, startMigration } from '../support/app/app.ts';
import { runHere } from '../support/cli/commands.ts';
import { captured } from '../support/core/here.ts';
import { refused } from '../support/core/in-process.ts';

const server = await startDatabase();
const home = mkdtempSync(join(tmpdir(), 'failed-migration-'));
const DIGEST = `sha256:${'0'.repeat(64)}`;
// It runs the command of a container on this host, without its image.
writeFileSync(
  join(home, 'docker'),
  `#!/bin/bash
printf '%s\\n' "$*" >> '${home}/calls'
case "$1 $2" in
  'buildx imagetools') [ "$4" = --raw ] && echo '{}' || echo '{"digest": "${DIGEST}"}';;
  'image inspect') echo sha256:1;;
  rm\\ *) ;;
  run\\ *) while [ "$1" != sh ]; do shift; done; cd '${ROOT}/test/app/backend' && exec "$@";;
  *) echo "no $1 here" >&2; exit 1;;
esac
`,
  { mode: 0o755 },
);
process.env.PATH = `${home}:${serverPrograms()}:${process.env.PATH}`;
const { host, port, user, password, database } = server.postgres;
const config = loadConfig('production', {
  HOME: home,
  STATE_DIR: home,
  LOG_DIR: home,
  BACKEND_IMAGE: 'registry.example/shop/backend:1',
  FRONTEND_IMAGE: 'registry.example/shop/frontend:1',
  MIGRATE_COMMAND: `${process.execPath} src/migrate.ts deploy`,
  PGHOST: host!,
  PGPORT: `${port}`,
  POSTGRES_USER: user,
  POSTGRES_PASSWORD: password!,
  POSTGRES_DB: database,
  POSTGRES_CONTAINER: '',
});
const NAME = '20250201000000_backfill';
const run = (...args: string[]) => captured(() => runHere(deploy, args, config));

test('no migration has failed, in a database without Prisma or with it', async () => {
  await refuseFailed(config, '2.0.0');
  await migrate(server.url, 'v1');
  await refuseFailed(config, '2.0.0');
  const { code, error } = await run('2.0.0', '--resolve', NAME, '--yes');
  assert.is(code, 2);
  assert.match(error, /"20250201000000_backfill" is no failed migration/);
});

test('--plan names a failed migration among all that is wrong, and the command that resolves it does', async () => {
  assert.is((await startMigration(server.url, 'bad-migration').exited).code, 1);
  const text = await refused(() => runHere(deploy, ['2.4.0', '--plan'], config), 1, /problems found/);
  assert.match(
    text,
    /migration "20250201000000_backfill", begun 20.* UTC, has failed or still runs: .*\n.*left_of.*\n.*→ undo what it left/,
  );
  const [, command] = /\.\/scripts\/deploy\.ts (.*--resolve.*)$/m.exec(text)!;
  assert.is(command, `2.4.0 --env production --resolve ${NAME}`);

  const wrong = await run('2.4.0', '--resolve', '20250101000000_init', '--yes');
  assert.is(wrong.code, 2);
  assert.match(wrong.error, /"20250101000000_init" is no failed migration/);
  const both = await run('2.4.0', '--plan', '--resolve', NAME);
  assert.match(both.error, /--plan does not go with --resolve/);

  const { code, value, error, stderr } = await run(...command!.split(' '), '--yes');
  assert.is(code, 0, error + stderr);
  assert.match(value!.text!, /20250201000000_backfill is recorded as rolled back/);
  const calls = readFileSync(join(home, 'calls'), 'utf8');
  const [started] = calls.split('\n').filter(line => line.startsWith('run '));
  assert.match(started!, new RegExp(`--network host .* registry.example/shop/backend@${DIGEST} sh -c `));
  assert.not.match(calls, new RegExp(password!));
  await refuseFailed(config, '2.4.0');
  await migrate(server.url, 'v2');
});

test('a name that a shell would read is one word, and the log controls no terminal', async () => {
  assert.is(
    resolveCommand('npx prisma migrate deploy', 'a_1'),
    'npx prisma migrate resolve --rolled-back a_1',
  );
  assert.is(resolveCommand('make migrations', 'a_1'), 'npx prisma migrate resolve --rolled-back a_1');
  assert.is(
    resolveCommand('cd api && npx prisma migrate deploy ', "a'; rm -rf $x"),
    "cd api && npx prisma migrate resolve --rolled-back 'a'\\''; rm -rf $x'",
  );
  await server.sql(
    "INSERT INTO _prisma_migrations (id, checksum, migration_name, logs) VALUES ('x', 'x', 'it''s', E'\\x1b[2J')",
  );
  const text = await refused(() => refuseFailed(config, DIGEST), 1, /migration "it's", begun/);
  assert.ok(text.endsWith(`./scripts/deploy.ts ${DIGEST} --env production --resolve 'it'\\''s'`));
  const error = await refuseFailed(config, DIGEST).catch(thrown => thrown);
  assert.is(error.details, ' [2J');
});

test('the server stops, and nothing is left', async () => {
  await server.stop();
  assert.equal(
    readdirSync(home).filter(name => name.endsWith('.deploy.json')),
    [],
  );
  rmSync(home, { recursive: true });
});

test.run();
