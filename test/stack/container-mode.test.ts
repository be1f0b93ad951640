/*
 * The scripts with PostgreSQL in a container, which they enter with `docker exec`: the default on a server. The
 * server is process 1 there, as in the official image without `init`: it takes the violent death of any orphan
 * for a crash of its own, so nothing that scripts start may leave one.
 */
import { mkdtempSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startThrowawayS3 } from '../../scripts/lib/throwaway-s3.ts';
import { inSandbox, type Sandbox, until } from '../images/sandbox.ts';
import { type Ended, type Started, startScript } from '../support/world.ts';

const IMAGE = 'postgres:15.20-bookworm';
const SECRET = `it's a $ecret "here"`;

interface Server {
  box: Sandbox;
  container: string;
  backups: string;
  start: (script: string, args?: string[], env?: Record<string, string>) => Started;
  run: (script: string, args?: string[], env?: Record<string, string>) => Promise<Ended>;
  sql: (sql: string, database?: string) => Promise<string>;
  /** Starts a statement that goes on by itself. */
  begin: (sql: string) => Promise<void>;
  /** Command lines of the container's processes. */
  processes: () => Promise<string>;
}

async function withServer(body: (server: Server) => Promise<void>): Promise<void> {
  await inSandbox(IMAGE, async box => {
    const directory = mkdtempSync(join(tmpdir(), 'container-mode-'));
    const s3 = await startThrowawayS3();
    try {
      const password = box.file('password', SECRET, 0o400);
      const container = await box.start(
        'postgres-production',
        ...['--volume', `${password}:/run/password:ro`, '--env', 'POSTGRES_PASSWORD_FILE=/run/password'],
        ...['--env', 'POSTGRES_DB=shop', IMAGE],
      );
      await until(
        'PostgreSQL',
        async () => (await box.try('exec', container, 'pg_isready', '-q', '-h', '127.0.0.1')).code === 0,
      );
      const env = {
        ...(box.engine.env as Record<string, string>),
        ...s3.env,
        APP_NAME: box.id,
        POSTGRES_DB: 'shop',
        POSTGRES_PASSWORD: SECRET,
        BACKUP_DIR: join(directory, 'backups'),
        LOG_DIR: join(directory, 'logs'),
        STATE_DIR: join(directory, 'state'),
      };
      const psql = (sql: string, database: string) => [
        'psql',
        '-U',
        'postgres',
        '-qAt',
        '-v',
        'ON_ERROR_STOP=1',
        '-c',
        sql,
        database,
      ];
      const start: Server['start'] = (script, args = [], extra = {}) =>
        startScript(script, args, { ...env, ...extra });
      await body({
        box,
        container,
        backups: env.BACKUP_DIR,
        start,
        run: (...args) => start(...args).ended,
        sql: (sql, database = 'shop') => box.docker('exec', container, ...psql(sql, database)),
        begin: async sql => {
          await box.docker('exec', '--detach', container, ...psql(sql, 'shop'));
        },
        processes: () => box.docker('top', container, '-eo', 'pid,args'),
      });
      const log = await box.try('logs', container);
      assert.not.match(
        log.stdout + log.stderr,
        /terminated by signal|not properly shut down|recovery/,
        'the server never crashed',
      );
    } finally {
      await s3.stop();
      await rm(directory, { recursive: true, force: true });
    }
  });
}

const ROWS =
  "CREATE TABLE item AS SELECT i, md5(i::text) AS name, '{}'::jsonb AS data FROM generate_series(1, 20000) AS i";

for (const format of ['plain', 'custom']) {
  test(`${format}: backed up from the container, restored into it, undone, drilled`, () =>
    withServer(async ({ run, sql, box, container, processes }) => {
      await sql(ROWS);
      const backup = await run('backup', ['--format', format, '--json']);
      assert.is(backup.code, 0, backup.stderr);
      const manifest = JSON.parse(backup.stdout).backup;
      assert.equal(manifest.tables, [{ schema: 'public', name: 'item', rows: 20_000 }]);
      await sql('DELETE FROM item WHERE i > 5');
      const restore = await run('restore', ['latest', '--from', 's3', '--yes', '--json']);
      assert.is(restore.code, 0, restore.stderr);
      assert.is(await sql('SELECT count(*) FROM item'), '20000');
      const { kept } = JSON.parse(restore.stdout);
      assert.is(await sql('SELECT count(*) FROM item', kept), '5');
      const undo = await run('restore', ['--undo', '--yes']);
      assert.is(undo.code, 0, undo.stderr);
      assert.is(await sql('SELECT count(*) FROM item'), '5');
      const finish = await run('restore', ['--finish', '--yes']);
      assert.is(finish.code, 0, finish.stderr);
      const drill = await run('drill');
      assert.is(drill.code, 0, drill.stderr);
      const databases = await sql(
        "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate",
      );
      assert.is(databases, 'postgres shop');
      assert.is(await box.docker('exec', container, 'ls', '/tmp'), '', 'no scratch file is left');
      assert.not.match(await processes(), /pg_dump|zstd|gzip|psql/);
    }));
}

test('from a bare server: the database is made, with its encoding and settings', () =>
  withServer(async ({ run, sql }) => {
    await sql(ROWS);
    await sql("ALTER DATABASE shop SET work_mem TO '7MB'");
    assert.is((await run('backup', ['--format', 'custom'])).code, 0);
    await sql('DROP DATABASE shop', 'postgres');
    const restore = await run('restore', ['latest', '--yes']);
    assert.is(restore.code, 0, restore.stderr);
    assert.is(await sql('SHOW work_mem'), '7MB');
    assert.is(await sql('SELECT count(*) FROM item'), '20000');
  }));

for (const [signal, code] of [
  ['SIGKILL', null],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} during the dump ends pg_dump in the container too, and the next run succeeds`, () =>
    withServer(async ({ start, run, sql, begin, processes, backups }) => {
      await sql(ROWS);
      await begin('BEGIN; LOCK TABLE item; SELECT pg_sleep(600)'); // pg_dump waits for it
      await until(
        'the lock',
        async () =>
          (await sql(
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'item'::regclass",
          )) === '1',
      );
      const backup = start('backup');
      await until('pg_dump in the container', async () => /pg_dump --format/.test(await processes()));
      backup.child.kill(signal);
      assert.is((await backup.ended).code, code);
      await until('the end of pg_dump', async () => !/pg_dump|gzip/.test(await processes()));
      await sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%' AND pid <> pg_backend_pid()",
      );
      const next = await run('backup');
      assert.is(next.code, 0, next.stderr);
      assert.is((await readdir(backups)).filter(name => name.includes('partial')).length, 0);
    }));
}

test('a container that is not there or does not run is said so', () =>
  withServer(async ({ run, box, container }) => {
    const missing = await run('backup', [], { POSTGRES_CONTAINER: 'no-such-container' });
    assert.is(missing.code, 1);
    assert.match(missing.stderr, /container no-such-container.*can't be used: .*No such container/);
    await box.docker('stop', container);
    const stopped = await run('backup');
    assert.is(stopped.code, 1);
    assert.match(stopped.stderr, /is not running/);
  }));

test.run();
