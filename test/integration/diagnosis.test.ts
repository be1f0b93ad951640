/** What is said of a failure is what PostgreSQL said of it, and the advice belongs to that. */
import { openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { OperationalError } from '../../scripts/lib/core/errors.ts';
import { textOf } from '../../scripts/lib/core/errors.ts';
import { logTo } from '../../scripts/lib/core/log.ts';
import { CommandError } from '../../scripts/lib/core/shell.ts';
import { runSql } from '../../scripts/lib/postgres/client.ts';
import { createLike } from '../../scripts/lib/postgres/databases.ts';
import { query } from '../../scripts/lib/postgres/query.ts';
import { serverFacts } from '../../scripts/lib/postgres/server.ts';
import { openSession } from '../../scripts/lib/postgres/session.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { executeHere } from '../support/cli/execute-here.ts';
import { begin } from '../support/core/expect.ts';
import { backUpHere, captured } from '../support/core/here.ts';
import { refused } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { history, type World } from '../support/core/world.ts';
import { withRefusingServer } from '../support/postgres/refusing-server.ts';

const { inTurn, stop } = await createTurns();

/** A user who is no superuser, and the environment of scripts that connect as that user. */
async function createManager(world: World, rights = 'CREATEDB'): Promise<Record<string, string>> {
  await world.sql(
    `CREATE ROLE manager LOGIN ${rights} PASSWORD 'managed'; ALTER DATABASE app OWNER TO manager`,
  );
  return { POSTGRES_USER: 'manager', POSTGRES_PASSWORD: 'managed' };
}

async function failure(attempt: () => Promise<unknown>): Promise<OperationalError> {
  return attempt().then(
    () => assert.unreachable('it does not fail'),
    error => error,
  );
}

test('a damaged page: table, block and relation are named, and the log has all that pg_dump wrote', () =>
  inTurn(async world => {
    await world.sql('CREATE TABLE notes AS SELECT i FROM generate_series(1, 5) AS i; CHECKPOINT');
    // A copy of the files, which are in no buffer yet.
    await world.sql('CREATE DATABASE damaged TEMPLATE app STRATEGY FILE_COPY', 'postgres');
    const [row] = await world.rows<{ path: string }>(`SELECT 'base/' || (SELECT oid FROM pg_database
      WHERE datname = 'damaged') || '/' || pg_relation_filenode('notes') AS path`);
    writeSync(openSync(join(world.pg.directory!, 'data', row!.path), 'r+'), Buffer.alloc(24, 0xff), 0, 24, 0);
    const env = { POSTGRES_DB: 'damaged' };
    const { code, stdout, stderr } = await executeHere('backup', ['--json'], { ...world.env, ...env });
    assert.is(code, 1, stderr);
    const { error } = JSON.parse(stdout);
    assert.match(
      error.message,
      /^could not dump damaged: pg_dump exited with 1: .*"notes".*invalid page in block 0 of relation base.*$/,
    );
    assert.match(
      stderr,
      /error: could not dump.*\n {2}pg_dump: .*Command was: COPY public\.notes.*\n {2}→ data on .* damaged/,
    );
    assert.match(error.details, /Command was: COPY public\.notes/);
    const log = readFileSync(join(world.env.LOG_DIR!, 'backup.log'), 'utf8');
    for (const line of [/PQgetResult\(\) failed\./, /Command was/, /exit statuses of pg_dump \| gzip: 1 0/])
      assert.match(log, line);
    assert.not.match(history(world)[0]!.error!, /Command was/);
  }));

test('errors of statements: fields and the advice of the code', () =>
  inTurn(async world => {
    const { postgres } = configOf(world, {});
    const fails = (sql: string) =>
      failure(() =>
        runSql(postgres, 'app', sql, {
          purpose: 'try it',
          hint: 'guess.',
          settings: '-c search_path=public',
        }),
      );
    const unique = await fails('CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t VALUES (1), (1)');
    assert.is(unique.details, 'DETAIL:  Key (i)=(1) already exists.');
    assert.not.match(unique.message, /\(1\)/); // messages also go to webhooks: no data in them
    assert.is(unique.hint, 'guess.');
    assert.match((await fails('SET statement_timeout = 1; SELECT pg_sleep(9)')).hint, /timeout/);
    assert.match((await fails('BEGIN READ ONLY; CREATE TABLE x ()')).hint, /standby/);
    const locks = await fails('SELECT pg_advisory_lock(i) FROM generate_series(1, 1000000) AS i');
    assert.match(
      textOf(locks),
      /out of shared memory\n {2}HINT: .*max_locks_per_transaction.*\n {2}→ .*max_locks/,
    );
    const nested = await fails(
      `CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / 0; END $$; SELECT f()`,
    );
    assert.match(nested.details, /CONTEXT: [\s\S]*function f\(\) line 1/);
    const session = openSession(postgres, 'app');
    const ended = await failure(() => session.query('SELECT * FROM absent'));
    assert.instance(ended, CommandError);
    assert.is((ended as CommandError).reason, '42P01');
    assert.match(ended.hint, /^no advice is known/);
  }));

test('the advice of a failed CREATE DATABASE belongs to its cause', () =>
  inTurn(async world => {
    const env = await createManager(world, '');
    const create = (own: Record<string, string>, locale: string) =>
      failure(() =>
        createLike({ ...configOf(world, own).postgres, database: 'absent' }, 'new', {
          encoding: 'UTF8',
          collate: locale,
          ctype: locale,
          provider: 'libc',
          locale: null,
          icuRules: null,
        }),
      );
    assert.match((await create(env, 'C')).hint, /ALTER ROLE … CREATEDB/);
    assert.match(textOf(await create({}, 'xx_YY')), /invalid locale name[\s\S]*→ install the locale/);
  }));

test('connections that fail', () =>
  inTurn(async world => {
    const manager = await createManager(world);
    const says = (env: Record<string, string>, ...messages: RegExp[]) =>
      refused(() => serverFacts(configOf(world, env).postgres), 1, /^PostgreSQL \(/, ...messages);
    await says(
      { POSTGRES_PASSWORD: 'wrong' },
      /password authentication failed[\s\S]*→ check .*POSTGRES_PASSWORD/,
    );
    await says({ PGPORT: '1' }, /Connection refused[\s\S]*→ nothing listens there/);
    await says({ PGHOST: 'nowhere.invalid' }, /→ no address is known/);
    await says(
      { POSTGRES_MAINTENANCE_DB: 'absent' },
      /"absent" does not exist[\s\S]*→ .*POSTGRES_MAINTENANCE_DB/,
    );
    await world.sql('ALTER ROLE manager CONNECTION LIMIT 0');
    await says(manager, /too many connections[\s\S]*→ all connections are in use/);
    const answered: [code: string, message: string, advice: RegExp][] = [
      ['08P01', 'unsupported startup parameter: options', /→ .*PgBouncer/],
      ['57P03', 'the database system is starting up', /→ .*starting, stopping or recovering/],
      [
        '28000',
        'no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", no encryption',
        /→ .*pg_hba\.conf/,
      ],
      ['XX000', 'something new', /something new[\s\S]*→ no advice is known/],
    ];
    for (const [code, message, advice] of answered)
      await withRefusingServer(code, message, port => says({ PGPORT: String(port) }, advice).then(() => {}));
  }));

/** A server without that database, with a restore, the way back and its end: test/long/integration/diagnosis.test.ts. */
test('no right to connect to postgres: named, and another maintenance database will do', () =>
  inTurn(async world => {
    const env = await createManager(world);
    await begin(world);
    await world.sql('ALTER TABLE state OWNER TO manager');
    await world.sql('REVOKE CONNECT ON DATABASE postgres FROM PUBLIC', 'postgres');
    try {
      const { error } = await backUpHere(world, env);
      assert.match(error, /permission denied for database "postgres"/);
      const { code, stderr } = await backUpHere(world, { ...env, POSTGRES_MAINTENANCE_DB: 'template1' });
      assert.is(code, 0, stderr);
    } finally {
      await world.sql('GRANT CONNECT ON DATABASE postgres TO PUBLIC', 'postgres');
    }
  }));

test('warnings of programs that exit with 0 are shown once, kept in the log and in the result', () =>
  inTurn(async world => {
    const env = await createManager(world);
    const subscription = `CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p
      WITH (connect = false, enabled = false, create_slot = false)`;
    await world.sql(subscription);
    try {
      const log = join(world.directory, 'backup.log');
      logTo(log);
      const { code, stderr, warnings } = await backUpHere(world, env);
      assert.is(code, 0, stderr);
      const text = 'pg_dump: subscriptions not dumped because current user is not a superuser';
      assert.is(stderr.split(`warning: ${text}`).length, 2, stderr);
      assert.ok(warnings.includes(text), warnings.join());
      assert.match(readFileSync(log, 'utf8'), /pg_dump: warning: subscriptions not dumped/);
    } finally {
      await world.sql('ALTER SUBSCRIPTION s SET (slot_name = NONE)');
      await world.sql('DROP SUBSCRIPTION s');
    }
    const warn = `DO $$ BEGIN RAISE WARNING 'mind this' USING HINT = 'do so'; END $$`;
    const { postgres } = configOf(world, {});
    const twice = async () => {
      for (const _ of [1, 2]) await runSql(postgres, 'app', warn, { purpose: 'warn' });
    };
    const { stderr } = await captured(twice);
    assert.is(stderr, 'warning: mind this\n  HINT:  do so\n');
  }));

test('what is asked of a database at once is one session: each gets its own rows, or all the error; then it is asked again', () =>
  inTurn(async world => {
    const { postgres } = configOf(world, {});
    const ask = (database: string, number: number | string, timeout?: number) =>
      query<{ pid: number; number: number }>(
        postgres,
        database,
        `SELECT pg_backend_pid() AS pid, ${number} AS number`,
        timeout ? { timeout } : {},
      );
    const [[one], [two], [elsewhere], [otherwise]] = await Promise.all([
      ask('app', 1),
      ask('app', 2),
      ask('postgres', 3),
      ask('app', 4, 30),
    ]);
    const [later] = await ask('app', 5);
    const all = [one!, two!, elsewhere!, otherwise!, later!];
    assert.equal(
      all.map(({ number }) => number),
      [1, 2, 3, 4, 5],
    );
    assert.is(one!.pid, two!.pid);
    assert.is(new Set(all.map(({ pid }) => pid)).size, 4);
    const failed = await Promise.allSettled([ask('app', 1), ask('app', '1 / 0'), ask('postgres', 2)]);
    assert.equal(
      failed.map(({ status }) => status),
      ['rejected', 'rejected', 'fulfilled'],
    );
    const { message } = (failed[0] as PromiseRejectedResult).reason;
    assert.match(message, /^could not query app: .*division by zero/);
  }));

test('the servers stop', stop);

test.run();
