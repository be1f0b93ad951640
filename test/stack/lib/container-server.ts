/**
 * PostgreSQL as process 1 of a container for the life of a test process, and the scripts as they run on its host.
 * For the short and the long test of that.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { startThrowawayS3 } from '../../../scripts/lib/drill/throwaway-s3.ts';
import { ensureEngine } from '../../engine/engine.ts';
import { ensureImages } from '../../images/images.ts';
import { Sandbox } from '../../images/sandbox.ts';
import { type Ended, type Started, startScript, until } from '../../support/core/world.ts';
import { NOT_SLOW, SLOW, SLOW_LOAD } from '../../support/postgres/slow-load.ts';

const IMAGE = 'postgres:15.20-bookworm';
/** PostgreSQL's data directory, and the size of its disk. */
export const DATA = '/var/lib/postgresql/data';
export const DATA_BYTES = 2 ** 30;
const SECRET = `it's a $ecret "here"`;
const ROWS =
  "CREATE TABLE item AS SELECT i, md5(i::text) AS name, '{}'::jsonb AS data FROM generate_series(1, 20000) AS i";

export interface Server {
  box: Sandbox;
  container: string;
  /** Makes the database `shop` new, with 20,000 rows, and a place for backups in which there are none. */
  newShop: () => Promise<Shop>;
  /** Ends the servers. @throws if PostgreSQL ever crashed */
  stop: () => Promise<void>;
}

export interface Shop {
  backups: string;
  start: (script: string, args?: string[], env?: Record<string, string>) => Started;
  run: (script: string, args?: string[], env?: Record<string, string>) => Promise<Ended>;
  sql: (sql: string, database?: string) => Promise<string>;
  /** Starts a statement that runs in the background. */
  begin: (sql: string) => Promise<void>;
  /** How many statements of the scripts the server executes. */
  statements: () => Promise<number>;
  /** Command lines of the container's processes. */
  processes: () => Promise<string>;
}

export async function startServer(): Promise<Server> {
  const engine = await ensureEngine();
  await ensureImages(engine, [IMAGE]);
  const box = new Sandbox(engine);
  const container = `${box.id}-postgres-production`;
  const directory = mkdtempSync(join(tmpdir(), 'container-mode-'));
  process.once('exit', () => {
    spawnSync('docker', ['rm', '--force', '--volumes', container], { env: engine.env, stdio: 'ignore' });
    rmSync(directory, { recursive: true });
  });
  const password = join(directory, 'password');
  writeFileSync(password, SECRET, { mode: 0o400 });
  chmodSync(directory, 0o755);
  // A disk of its own, which a test can fill.
  await box.start(
    'postgres-production',
    ...['--tmpfs', `${DATA}:size=${DATA_BYTES},mode=0700`],
    ...['--volume', `${password}:/run/password:ro`, '--env', 'POSTGRES_PASSWORD_FILE=/run/password', IMAGE],
  );
  await until(
    'PostgreSQL accepts connections',
    async () => (await box.try('exec', container, 'pg_isready', '-q', '-h', '127.0.0.1')).code === 0,
  );
  const s3 = await startThrowawayS3();
  let shops = 0;
  return {
    box,
    container,
    async newShop() {
      const home = join(directory, `shop-${++shops}`);
      const env = {
        ...(engine.env as Record<string, string>),
        ...s3.env,
        APP_NAME: box.id,
        POSTGRES_DB: 'shop',
        POSTGRES_PASSWORD: SECRET,
        BACKUP_DIR: join(home, 'backups'),
        LOG_DIR: join(home, 'logs'),
        STATE_DIR: join(home, 'state'),
      };
      const psql = (sql: string, database: string) => [
        ...['psql', '-U', 'postgres', '-qAt', '-v', 'ON_ERROR_STOP=1', '-c', sql, database],
      ];
      const sql: Shop['sql'] = (text, database = 'shop') =>
        box.docker('exec', container, ...psql(text, database));
      const start: Shop['start'] = (script, args = [], extra = {}) =>
        startScript(script, args, { ...env, ...extra });
      await sql('DROP DATABASE IF EXISTS shop WITH (FORCE)', 'postgres');
      await sql('CREATE DATABASE shop', 'postgres');
      await sql(ROWS);
      return {
        backups: env.BACKUP_DIR,
        start,
        run: (...args) => start(...args).ended,
        sql,
        begin: async text => {
          await box.docker('exec', '--detach', container, ...psql(text, 'shop'));
        },
        statements: async () =>
          Number(
            await sql(
              "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'stack-%' AND state = 'active'",
            ),
          ),
        processes: () => box.docker('top', container, '-eo', 'pid,args'),
      };
    },
    async stop() {
      await s3.stop();
      const { stdout, stderr } = await box.try('logs', container);
      assert.match(stdout + stderr, /ready to accept connections/);
      assert.not.match(stdout + stderr, /terminated by signal|not properly shut down|recovery/);
    },
  };
}

/** Backs up, restores, undoes, finishes and drills, and leaves nothing behind. */
export async function wholeCycle(server: Server, format: 'plain' | 'custom'): Promise<void> {
  const { run, sql, processes } = await server.newShop();
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
  const scratch = await server.box.docker('exec', server.container, 'ls', '/tmp');
  assert.is(scratch, '', 'no scratch file is left');
  assert.match(await processes(), /postgres: checkpointer/);
  // What a script leaves when it ends sees the end of its input, through docker exec.
  await until('no program of the scripts runs in the container', async () => {
    return !/pg_dump|zstd|gzip|psql/.test(await processes());
  });
}

/** @returns whether a load hangs in the server: see `SLOW_LOAD` */
export async function isLoading(sql: Shop['sql']): Promise<boolean> {
  const sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname ~ '_new_'";
  return (await sql(sleeps)) !== '0';
}

/** Kills a restore while it loads: nothing of it goes on in the container, and the next one succeeds. */
export async function killedLoad(server: Server, format: 'plain' | 'custom'): Promise<void> {
  const { start, run, sql, processes, statements } = await server.newShop();
  await sql(SLOW_LOAD);
  assert.is((await run('backup', ['--format', format])).code, 0);
  await sql(SLOW);
  const restore = start('restore', ['latest', '--yes']);
  await until('it loads', () => isLoading(sql), 60);
  restore.child.kill('SIGKILL');
  await restore.ended;
  await until('the end of its sessions', async () => (await statements()) === 0, 10);
  await until('the end of its programs', async () => !/psql|pg_restore|gzip/.test(await processes()), 10);
  await sql(NOT_SLOW);
  const next = await run('restore', ['latest', '--yes']);
  assert.is(next.code, 0, next.stderr);
  assert.match(next.stderr, /dropping database shop_new_/);
  assert.is((await run('restore', ['--finish', '--yes'])).code, 0);
}
