/** The application and backups as roles of their own, on a server whose database is all a superuser's. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { whoBacksUp } from '../../scripts/lib/backup/unreadable-objects.ts';
import { changeRoles } from '../../scripts/lib/postgres/change-roles.ts';
import { openSession } from '../../scripts/lib/postgres/session.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { executeHere } from '../support/cli/execute-here.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { history, killWhen, until, type World } from '../support/core/world.ts';
import { ask } from '../support/postgres/ask.ts';
import { contentOf, propertiesOf, rightsOf } from '../support/postgres/compare.ts';
import {
  APP,
  as,
  BACKUP,
  contentAlone,
  ENV,
  giveRolesHere,
  loadHardSchema,
  ownersLeft,
  refusals,
} from '../support/postgres/roles.ts';

async function assertRefused(attempt: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await attempt.then(
    () => new Error('not refused'),
    (thrown: Error) => thrown,
  );
  assert.match(error.message, message);
}

/** Sessions that wait for a lock on a table in order to change its owner. */
async function attempts(world: World): Promise<number> {
  const [row] = await world.rows<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'`,
    'postgres',
  );
  return row!.n;
}

/** Of the database, and for what the application creates later. */
const SETTINGS = `ALTER DATABASE app SET work_mem = '7MB'; ALTER DATABASE app SET app.key = 'x';
  SET ROLE ${APP}; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO backup`;

const { inTurn, stop } = await createTurns();

test('all that the superuser owns becomes the application’s; a second run changes nothing; a look neither', () =>
  inTurn(async world => {
    await loadHardSchema(world);
    const before = await contentOf(world);
    const looked = await executeHere('database-roles', ['--dry-run', '--json'], { ...world.env, ...ENV });
    assert.is(looked.code, 0, looked.stderr);
    assert.equal(await contentOf(world), before, 'a look changes nothing');
    const plan = JSON.parse(looked.stdout);
    assert.ok(plan.objects.length > 30, String(plan.objects.length));
    for (const note of [/of writer stay writer's/, /SECURITY DEFINER/, /row security is forced.*secrets/])
      assert.match(plan.notes.join('\n'), note);

    const { code, stderr, stdout } = await executeHere('database-roles', ['--yes'], { ...world.env, ...ENV });
    assert.is(code, 0, stderr);
    assert.match(stdout, /next: `\.\/scripts\/config\.ts --write`/);
    for (const secret of [ENV.APP_DB_PASSWORD!, ENV.BACKUP_DB_PASSWORD!])
      assert.not.match(stdout + stderr, secret);
    assert.equal(
      history(world).map(({ script, exitCode }) => [script, exitCode]),
      [['database-roles.ts', 0]],
    );
    assert.equal(await ownersLeft(world), ['function note_ddl()']);
    const after = await contentOf(world);
    assert.equal(contentAlone(after), contentAlone(before), 'only owners and privileges differ');

    const again = await executeHere('database-roles', ['--yes', '--json'], { ...world.env, ...ENV });
    assert.equal(JSON.parse(again.stdout), { database: 'app', changed: false }, again.stderr);
    assert.equal(await rightsOf(world), after.rights);
  }));

test('the application does what its migrations need, and nothing that a superuser can', () =>
  inTurn(async world => {
    await world.sql('CREATE TABLE members (id int)');
    await world.sql('CREATE DATABASE other', 'postgres');
    await world.sql('CREATE TABLE salaries (id int)', 'other');
    await giveRolesHere(world);
    await as(
      world,
      APP,
      `CREATE EXTENSION pg_trgm; ALTER TABLE members ADD name text; CREATE INDEX ON members USING gin (name gin_trgm_ops);
       CREATE SCHEMA jobs CREATE TABLE queue (id serial); DROP TABLE jobs.queue; CREATE TEMPORARY TABLE t (i int);
       CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; TRUNCATE members; REINDEX TABLE members;
       CREATE TYPE mood AS ENUM ('sad'); LOCK TABLE members IN ACCESS EXCLUSIVE MODE`,
    );
    await as(world, APP, 'SELECT pg_advisory_lock(72707369)'); // as Prisma does
    await refusals(world, APP, [
      [`COPY members TO PROGRAM 'cat'`, /permission denied|must be superuser/],
      [`COPY members FROM '/etc/passwd'`, /permission denied|must be superuser/],
      [`SELECT pg_read_file('/etc/passwd')`, /permission denied/],
      [`SELECT lo_import('/etc/passwd')`, /permission denied/],
      ['SELECT * FROM pg_authid', /permission denied/],
      ['CREATE ROLE more', /permission denied/],
      [`ALTER ROLE ${APP} SUPERUSER`, /must be superuser/],
      ['CREATE DATABASE more', /permission denied/],
      ['DROP DATABASE app', /must be owner/],
      [`ALTER DATABASE app SET search_path = evil`, /must be owner/],
      ['CREATE EXTENSION postgres_fdw', /permission denied/],
      ['SET session_replication_role = replica', /permission denied/],
      ['SET ROLE postgres', /permission denied/],
      ['SELECT pg_terminate_backend(pg_backend_pid()) FROM pg_reload_conf()', /permission denied/],
    ]);
    await assertRefused(as(world, APP, 'SELECT * FROM salaries', 'other'), /permission denied/);
  }));

test('the role of backups changes nothing; what it can’t dump, the superuser dumps', () =>
  inTurn(async world => {
    await loadHardSchema(world);
    await world.sql('DROP USER MAPPING FOR writer SERVER elsewhere');
    await giveRolesHere(world);
    await refusals(world, BACKUP, [
      [`INSERT INTO wide VALUES (9)`, /permission denied/],
      ['UPDATE wide SET id = 9', /permission denied/],
      ['TRUNCATE wide', /permission denied/],
      ['CREATE TABLE t ()', /permission denied/],
      ['CREATE SCHEMA s', /permission denied/],
      ["SELECT lo_put(4711, 0, 'x')", /permission denied/],
      ['SELECT lo_unlink(4711)', /must be owner/],
      ['DROP DATABASE app', /must be owner/],
      [`SELECT setval('alone', 9)`, /permission denied/],
      [`COPY wide TO PROGRAM 'cat'`, /permission denied|must be superuser/],
      [`SELECT pg_read_file('/etc/passwd')`, /permission denied/],
      ['CREATE ROLE more', /permission denied/],
      [`SET ROLE ${APP}`, /permission denied/],
    ]);

    // Where the superuser is not known, as in the service, nobody dumps it.
    // A backup of each: test/long/integration/database-roles.test.ts.
    const whoDumps = async () => {
      const { value } = await captured(() => whoBacksUp(configOf(world, ENV)));
      return [value!.postgres.user, value!.warnings.join('\n')] as const;
    };
    assert.equal(await whoDumps(), [BACKUP, '']);
    await as(world, APP, `SELECT lo_create(5000)`);
    const closed = /backup may not read 1 large object/;
    const inService = { ...ENV, PGUSER: BACKUP };
    await refused(() => makeBackup(world, { upload: false }, inService), 1, closed, /database-roles\.ts/);
    const [user, warning] = await whoDumps();
    assert.is(user, 'postgres');
    assert.match(warning, closed);
    assert.match(warning, /: this backup connects as postgres instead\n {2}→ .*database-roles\.ts grants it/);
    await giveRolesHere(world);
    assert.equal(await whoDumps(), [BACKUP, '']);
    await world.sql(`CREATE USER MAPPING FOR writer SERVER elsewhere OPTIONS (user 'x')`);
    const [again, mapping] = await whoDumps();
    assert.is(again, 'postgres');
    assert.match(mapping, /only a superuser can dump user mapping of writer for elsewhere/);
  }));

/**
 * A backup that is older than the roles, migrations after a restore, and all that a backup of each role says:
 * test/long/integration/database-roles.test.ts.
 */
test('the backup role loads and compares a backup in a scratch database; a server without the roles gets them with a restore, which keeps owner, rights and settings, and their passwords by the next run', () =>
  inTurn(async world => {
    await world.sql(`CREATE TABLE members AS SELECT 1 AS id; CREATE EXTENSION pg_trgm`);
    await giveRolesHere(world);
    await world.sql(SETTINGS);
    const before = [await contentOf(world), await propertiesOf(world)];
    const { id } = await makeBackup(world, { upload: false }, ENV);
    const { code, stderr, stdout } = await executeHere('verify-backup', [id, '--load'], {
      ...world.env,
      ...ENV,
      PGUSER: BACKUP,
      POSTGRES_PASSWORD: ENV.BACKUP_DB_PASSWORD!,
    });
    assert.is(code, 0, stderr);
    assert.match(stdout, /loaded and compared/);
    assert.equal(
      await world.rows('SELECT datname FROM pg_database WHERE datname ~ $$drill$$', 'postgres'),
      [],
    );

    await world.sql('DROP DATABASE app WITH (FORCE)', 'postgres');
    await world.sql(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '${BACKUP}'`,
      'postgres',
    );
    await world.sql(`DROP ROLE ${APP}, ${BACKUP}`, 'postgres');
    const restored = await captured(() => restoreHere(world, id, {}, ENV));
    assert.match(restored.stderr, /created .*without passwords/);
    assert.equal([await contentOf(world), await propertiesOf(world)], before);
    await giveRolesHere(world);
    assert.is(await as(world, APP, 'ALTER TABLE members ADD n int; SELECT id FROM members'), '1\n');
    assert.is(await as(world, BACKUP, 'SELECT id FROM members'), '1\n'); // a backup: the long file of this name
  }));

test('passwords are made and written when the roles have them; the env file keeps all else', () =>
  inTurn(async world => {
    const envFile = join(world.directory, 'env');
    writeFileSync(envFile, '# head\nAPP_DB_PASSWORD=\nX=1\n', { mode: 0o600 });
    const config = { ...configOf(world, { APP_NAME: ENV.APP_NAME! }), envFile };
    const { value, stderr } = await captured(() => changeRoles(config, { yes: true }));
    const text = readFileSync(envFile, 'utf8');
    assert.match(text, /^# head\nAPP_DB_PASSWORD=[0-9a-f]{64}\nX=1\nBACKUP_DB_PASSWORD=[0-9a-f]{64}\n$/);
    const [app, backup] = [...text.matchAll(/=([0-9a-f]{64})/g)].map(([, password]) => password!);
    for (const secret of [app!, backup!]) assert.not.match(JSON.stringify(value) + stderr, secret);
    await ask({ ...world.pg.postgres, user: APP, password: app! }, 'app', 'CREATE TABLE mine ()');
    await ask({ ...world.pg.postgres, user: BACKUP, password: backup! }, 'app', 'TABLE mine');
    const serverLog = readFileSync(join(world.pg.directory!, 'server.log'), 'utf8');
    for (const secret of [app!, backup!]) assert.not.match(serverLog, secret);
  }));

test('a locked table is waited for without blocking others; a killed run is completed by the next', () =>
  inTurn(async world => {
    await world.sql('CREATE TABLE a AS SELECT 1 AS i; CREATE TABLE b AS SELECT 1 AS i');
    const holder = openSession(world.pg.postgres, 'app');
    try {
      await holder.execute('BEGIN');
      await holder.execute('SELECT count(*) FROM public.b');
      const run = world.start('database-roles', ['--yes'], ENV);
      await killWhen(run, async () => (await attempts(world)) > 0);
      assert.is(await world.sql('SELECT count(*) FROM a'), '1\n', 'the application reads meanwhile');
      assert.equal(
        await world.rows(`SELECT FROM pg_roles WHERE rolname = '${APP}'`),
        [],
        'all of it or nothing',
      );
      const second = executeHere('database-roles', ['--yes'], { ...world.env, ...ENV });
      await until('it waits for the table', async () => (await attempts(world)) > 0);
      await holder.execute('COMMIT');
      const { code, stderr } = await second;
      assert.is(code, 0, stderr);
      assert.equal(await ownersLeft(world), []);
    } finally {
      await holder.close();
    }
  }));

test.after(stop);
test.run();
