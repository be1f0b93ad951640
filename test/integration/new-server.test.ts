import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { contentOf, program, propertiesOf } from '../support/compare.ts';
import { begin, change, failed, stateOf, succeed } from '../support/expect.ts';
import { inWorld, type World } from '../support/world.ts';

const ROLES = `CREATE ROLE team NOLOGIN;
  CREATE ROLE "App, User" LOGIN CREATEDB CONNECTION LIMIT 9 PASSWORD 'secret' IN ROLE team;
  ALTER ROLE "App, User" SET app.motto TO E'two\\nlines; with \\'quotes\\'';
  GRANT team TO "App, User" WITH ADMIN OPTION;
  CREATE TABLE secrets (owner name);
  ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON secrets TO "App, User" USING (owner = current_user);
  GRANT CONNECT ON DATABASE app TO team;
  ALTER DATABASE app OWNER TO "App, User"`;
const DROP_ROLES = `DROP DATABASE app; DROP ROLE "App, User"; DROP ROLE team`;
const rolesOf = (world: World) =>
  world.rows(`SELECT rolname, rolcanlogin, rolcreatedb, rolsuper, rolconnlimit, rolconfig,
      (SELECT json_agg(json_build_array(pg_get_userbyid(roleid), admin_option)) FROM pg_auth_members WHERE member = oid) AS member
    FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname`);

async function dropAll(world: World) {
  for (const statement of DROP_ROLES.split(';')) await world.sql(statement, 'postgres');
}

test('a new server: roles, database and its properties come from the backup', () =>
  inWorld(async world => {
    await begin(world);
    await world.sql(ROLES);
    const before = [await contentOf(world), await propertiesOf(world), await rolesOf(world)];
    const { backup } = await succeed(world, 'backup');
    await dropAll(world);
    const bare = await succeed(world, 'restore', 'latest', '--from', 's3', '--yes');
    assert.equal([bare.kept, bare.safetyBackup], [null, null]);
    assert.match(bare.stderr, /created .*"App, User".*without passwords/);
    assert.equal([await contentOf(world), await propertiesOf(world), await rolesOf(world)], before);
    const passwords = await world.rows(
      `SELECT FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname <> 'postgres'`,
    );
    assert.is(passwords.length, 0, 'no password comes from a backup');

    // Containers make the database, empty, when they first start.
    await dropAll(world);
    await world.sql('CREATE DATABASE app', 'postgres');
    const empty = await succeed(world, 'restore', backup.id, '--yes');
    assert.ok(empty.kept);
    assert.equal(await contentOf(world), before[0]);
  }));

test('a user who is no superuser can back up and restore', () =>
  inWorld(async world => {
    const password = 'managed';
    await world.sql(`CREATE ROLE manager LOGIN CREATEDB CREATEROLE PASSWORD '${password}'`, 'postgres');
    await world.sql('ALTER DATABASE app OWNER TO manager; GRANT pg_signal_backend TO manager', 'postgres');
    Object.assign(world.env, { POSTGRES_USER: 'manager', POSTGRES_PASSWORD: password });
    await program(
      world,
      'psql',
      '-qX',
      '-vON_ERROR_STOP=1',
      '-dapp',
      `-c CREATE TABLE state AS SELECT 'backed up' AS name;
      CREATE ROLE watcher; CREATE TABLE secrets (); ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
      CREATE POLICY seen ON secrets TO watcher USING (true); COMMENT ON DATABASE app IS 'managed'`,
    );
    const before = [await contentOf(world), await propertiesOf(world)];
    await succeed(world, 'backup', '--format', 'custom');
    await change(world, 'changed');
    const { kept } = await succeed(world, 'restore', 'latest', '--yes');
    assert.equal([await contentOf(world), await propertiesOf(world)], before);
    assert.is(await stateOf(world, kept), 'changed');
    await succeed(world, 'restore', '--finish', '--yes');
    for (const statement of ['DROP DATABASE app', 'DROP ROLE watcher'])
      await world.sql(statement, 'postgres');
    await succeed(world, 'restore', 'latest', '--yes');
    assert.equal([await contentOf(world), await propertiesOf(world)], before);
  }));

test('latest is the newest of both places', () =>
  inWorld(async world => {
    await begin(world, 'one');
    const { backup: both } = await succeed(world, 'backup');
    await change(world, 'two');
    const { backup: local } = await succeed(world, 'backup', '--no-upload');
    const latest = async (...args: string[]) =>
      (await succeed(world, 'restore', 'latest', '--dry-run', ...args)).source;
    assert.is(await latest(), local.id);
    assert.is(await latest('--from', 'local'), local.id);
    assert.is(await latest('--from', 's3'), both.id);
    const elsewhere = { BACKUP_DIR: join(world.directory, 'new server') };
    const fetched = await world.run('restore', ['latest', '--yes', '--json'], elsewhere);
    assert.is(fetched.code, 0, fetched.stderr);
    assert.is(JSON.parse(fetched.stdout).restored, both.id);
    assert.is(await stateOf(world), 'one');
    failed(
      await world.run('restore', [local.id, '--yes'], elsewhere),
      3,
      new RegExp(`there is no whole backup ${local.id}`),
    );
    failed(
      await world.run('restore', ['latest', '--from', 's3', '--yes'], { S3_BUCKET: '' }),
      2,
      /S3_BUCKET is empty/,
    );
  }));

test.run();
