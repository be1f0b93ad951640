import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deploy } from '../../scripts/deploy.ts';
import { serverPrograms } from '../../scripts/lib/drill/postgres-process.ts';
import { refuseFailed, resolveCommand } from '../../scripts/lib/migrations/failed.ts';
import { appliedMigrations } from '../../scripts/lib/migrations/pending.ts';
import { queryOf } from '../../scripts/lib/postgres/query.ts';
import { type Database, migrate, startDatabase, startMigration } from '../support/app/app.ts';
import { runHere } from '../support/cli/commands.ts';
import type { Child } from '../support/core/child.ts';
import { captured } from '../support/core/here.ts';
import { refused } from '../support/core/in-process.ts';
import { until } from '../support/core/world.ts';
import { releaseHere } from '../support/migrations/release-here.ts';

const server = await startDatabase();

process.env.PATH = `${serverPrograms()}:${process.env.PATH}`;
const release = releaseHere(server);
const runDeploy = (...args: string[]) => captured(() => runHere(deploy, args, release.config));

/** @returns the arguments of the command that --plan shows, beside all else that is wrong here */
async function refusedPlan(): Promise<string> {
  const plan = () => runHere(deploy, ['2.4.0', '--plan', '--skip-backup', '--reason', 'x'], release.config);
  const failed =
    /migration "20250201000000_backfill", begun 20.* UTC, has failed .*\n.*left_of.*\n.*→ undo what it left/;
  const text = await refused(plan, 1, /problems found/, failed);
  return /\.\/scripts\/deploy\.ts (.*--resolve.*)$/m.exec(text)![1]!;
}

/** Runs `body` with an empty database of the server that all tests have. */
async function withDatabase(body: (database: Database) => Promise<void>): Promise<void> {
  await server.empty();
  await body(server);
}

const applied = (child: Child): string[] =>
  [...child.output().matchAll(/"migration applied","name":"([^"]+)"/g)].map(([, name]) => name!);
const codeOf = async (child: Child): Promise<number | null> => (await child.exited).code;

test('migrates once, from version 1 to 2, and an older version finds nothing to do', () =>
  withDatabase(async ({ postgres, url, sql }) => {
    const seen = () => appliedMigrations(queryOf(postgres, postgres.database));
    assert.equal(await seen(), []);
    const head = () =>
      sql(
        'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1',
      );
    assert.is(await codeOf(startMigration(url, 'v1', ['status'])), 1);
    await migrate(url, 'v1');
    assert.is(await head(), '20250101000000_init');
    assert.equal(await seen(), ['20250101000000_init']);
    const again = startMigration(url, 'v1');
    assert.is(await codeOf(again), 0);
    assert.equal(applied(again), []);

    const status = startMigration(url, 'v2', ['status']);
    assert.is(await codeOf(status), 1);
    assert.match(status.output(), '"names":["20250201000000_order_note"]');
    await migrate(url, 'v2');
    assert.is(await head(), '20250201000000_order_note');
    assert.is(await codeOf(startMigration(url, 'v2', ['status'])), 0);
    const older = startMigration(url, 'v1');
    assert.is(await codeOf(older), 0);
    assert.equal(applied(older), []);
  }));

test('many at once: one migrates, the others wait and find nothing to do', () =>
  withDatabase(async ({ url, sql }) => {
    const children = Array.from({ length: 4 }, () => startMigration(url, 'v2'));
    for (const child of children) assert.is(await codeOf(child), 0, child.output());
    const names = ['20250101000000_init', '20250201000000_order_note'];
    assert.equal(children.flatMap(applied).sort(), names);
    assert.is(await sql('SELECT count(*), count(finished_at) FROM _prisma_migrations'), '2|2');
  }));

test('a migration that fails leaves nothing but its record, and no other runs until that is resolved', () =>
  withDatabase(async ({ url, sql }) => {
    await migrate(url, 'v1');
    const failing = startMigration(url, 'bad-migration');
    assert.is(await codeOf(failing), 1);
    assert.match(failing.output(), '20250201000000_backfill failed');
    const columns =
      "SELECT count(*) FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'nickname'";
    assert.is(await sql(columns), '0');
    const record =
      'SELECT migration_name, finished_at IS NULL, logs FROM _prisma_migrations WHERE finished_at IS NULL';
    assert.match(await sql(record), /^20250201000000_backfill\|t\|.*left_of/);

    const next = startMigration(url, 'v2');
    assert.is(await codeOf(next), 1);
    assert.match(next.output(), 'resolve --rolled-back');
    assert.is(
      await codeOf(startMigration(url, 'v2', ['resolve', '--rolled-back', '20250101000000_init'])),
      1,
    );

    const command = await refusedPlan();
    assert.is(command, '2.4.0 --resolve 20250201000000_backfill');
    const { code, value, error } = await runDeploy(...command.split(' '), '--yes');
    assert.is(code, 0, error);
    assert.match(value!.text!, /20250201000000_backfill is recorded as rolled back/);
    const started = release
      .calls()
      .split('\n')
      .find(line => line.startsWith('run '));
    assert.match(started!, new RegExp(`--network host .*/shop/backend@${release.digest} sh -c `));
    assert.not.match(release.calls(), server.postgres.password!);
    await refuseFailed(release.config, '2.4.0');
    await migrate(url, 'v2');
  }));

test('--resolve refuses what has not failed, and shows a failed one without what controls a terminal', () =>
  withDatabase(async ({ sql }) => {
    await refuseFailed(release.config, '2.0.0'); // a database without Prisma
    const refuse = async (name: string, message: RegExp, ...more: string[]) => {
      const { code, error } = await runDeploy('2.4.0', '--resolve', name, ...more);
      assert.is(code, 2);
      assert.match(error, message);
    };
    await refuse('20250101000000_init', /"20250101000000_init" is no failed migration/, '--yes');
    await refuse('x', /--plan does not go with --resolve/, '--plan');
    await sql(`CREATE TABLE _prisma_migrations (id text, migration_name text, logs text, started_at timestamptz DEFAULT now(),
      finished_at timestamptz, rolled_back_at timestamptz); INSERT INTO _prisma_migrations VALUES ('x', 'it''s', E'\\x1b[2J')`);
    const text = await refused(
      () => refuseFailed(release.config, release.digest),
      1,
      /migration "it's", begun/,
    );
    assert.ok(text.endsWith(`./scripts/deploy.ts ${release.digest} --resolve 'it'\\''s'`));
    const error = await refuseFailed(release.config, release.digest).catch(thrown => thrown);
    assert.is(error.details, ' [2J');
    // With the program that migrates, where that can be told; the name is one word of a shell.
    assert.is(resolveCommand('npx prisma migrate deploy', 'a'), 'npx prisma migrate resolve --rolled-back a');
    assert.is(resolveCommand('make migrations', 'a'), 'npx prisma migrate resolve --rolled-back a');
    assert.is(
      resolveCommand('cd x && p deploy ', "a'; rm $x"),
      "cd x && p resolve --rolled-back 'a'\\''; rm $x'",
    );
  }));

test('a lock that is not given in time ends the migration, and the table is free for everybody else', () =>
  withDatabase(async ({ url, sql, session }) => {
    await migrate(url, 'v1');
    const brief = `${url}?options=${encodeURIComponent('-c lock_timeout=300')}`;

    // It sleeps while it holds a lock on orders, and holds the lock that only one migration has.
    const holder = startMigration(url, 'locking-migration');
    try {
      const locked =
        "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'AccessExclusiveLock' AND granted";
      await until('the migration holds its lock', async () => (await sql(locked)) === '1');
      const second = startMigration(brief, 'v2');
      assert.is(await codeOf(second), 1);
      assert.match(second.output(), 'lock timeout');

      // The container of a migration can be killed, the server's session continues: it has to be ended there.
      await holder.stop('SIGKILL');
      assert.is(await sql(locked), '1');
      await sql(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'migrate'",
      );
      assert.is(await sql(locked), '0');
    } finally {
      await holder.stop('SIGKILL');
    }
    assert.is(
      await codeOf(startMigration(url, 'v1', ['resolve', '--rolled-back', '20250201000000_rewrite_orders'])),
      0,
    );

    // Another session's long transaction blocks ALTER TABLE.
    const reader = session();
    try {
      await reader.execute('BEGIN');
      await reader.execute('SELECT count(*) FROM public.orders');
      const blocked = startMigration(brief, 'v2');
      assert.is(await codeOf(blocked), 1);
      assert.match(blocked.output(), 'lock timeout');
      assert.is(await sql('SELECT count(*) FROM orders'), '0');
    } finally {
      await reader.close();
    }
  }));

test('the server stops', async () => {
  await server.stop();
  release.remove();
});

test.run();
