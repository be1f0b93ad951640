/** Each hard schema gets another owner without any other change, and a backup of it by the role of backups comes back. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { artifactName, globalsName } from '../../../scripts/lib/backup/manifest.ts';
import { isDone, readRoleChanges } from '../../../scripts/lib/postgres/role-changes.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { captured } from '../../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import type { World } from '../../support/core/world.ts';
import { contentOf, propertiesOf } from '../../support/postgres/compare.ts';
import {
  APP,
  as,
  BACKUP,
  contentAlone,
  ENV,
  giveRolesHere,
  loadHardSchema,
  ownersLeft,
} from '../../support/postgres/roles.ts';
import {
  createRoles,
  dropAll,
  runScript,
  SCHEMAS,
  sectionsOf,
  statementsOf,
} from '../../support/postgres/schemas.ts';

const { inTurn, stop } = await createTurns();

/** Without the random words of \\restrict, and the times of the comments. */
const unzipped = (world: World, name: string) =>
  gunzipSync(readFileSync(join(world.env.BACKUP_DIR!, name)))
    .toString()
    .replaceAll(/^\\(un)?restrict .*$/gm, '');
const dumpOf = (world: World, id: string) => unzipped(world, artifactName(id, 'plain'));
const globalsOf = (world: World, id: string) => unzipped(world, globalsName(id));

/** Their backups need a superuser: subscriptions, and options of user mappings. */
const NOT_BACKED_UP = ['foreign', 'replication'];

for (const schema of SCHEMAS)
  test(`${schema}: another owner, the same content`, () =>
    inTurn(async world => {
      await createRoles(world);
      for (const part of ['owner', 'superuser'] as const) await runScript(world, statementsOf(schema, part));
      const before = await contentOf(world);
      try {
        await giveRolesHere(world);
        const after = await contentOf(world);
        assert.equal(contentAlone(after), contentAlone(before));
        const config = configOf(world, ENV);
        const left = await readRoleChanges(config.postgres, 'app', config.roles);
        assert.ok(isDone(left), JSON.stringify(left));
        const triggers = await world.rows<{ name: string }>(
          `SELECT DISTINCT 'function ' || replace(evtfoid::regprocedure::text, 'public.', '') AS name FROM pg_event_trigger`,
        );
        assert.equal(
          (await ownersLeft(world)).filter(name => !triggers.some(each => each.name === name)),
          [],
        );
        if (NOT_BACKED_UP.includes(schema)) return;
        const { id } = await makeBackup(world, { upload: false }, ENV);
        await restoreHere(world, id, { database: 'copy' }, ENV);
        assert.equal(await sectionsOf(world, 'copy'), await sectionsOf(world));
      } finally {
        await dropAll(world); // with its subscriptions
      }
    }));

test('a backup by its own role is the superuser’s, behind row security too', () =>
  inTurn(async world => {
    await loadHardSchema(world);
    await world.sql('DROP USER MAPPING FOR writer SERVER elsewhere');
    await giveRolesHere(world);
    // A role that is gone: there is a backup all the same, by the superuser.
    const noRole = { ...ENV, BACKUP_DB_USER: 'nobody_is_called_so' };
    const told = await captured(() => makeBackup(world, { upload: false }, noRole));
    const superuser = told.value!;
    assert.match(told.stderr, /this backup connects as postgres instead/);
    const { value, stderr } = await captured(() => makeBackup(world, { upload: false }, ENV));
    const manifest = value!;
    assert.not.match(stderr, /connects as postgres/);
    for (const key of [
      'tables',
      'definitions',
      'properties',
      'needs',
      'extensions',
      'largeObjects',
      'server',
    ] as const)
      assert.equal(manifest[key], superuser[key], key);
    assert.is(dumpOf(world, manifest.id), dumpOf(world, superuser.id));
    assert.is(globalsOf(world, manifest.id), globalsOf(world, superuser.id));
    assert.not.match(globalsOf(world, manifest.id), /SCRAM|PASSWORD/);
  }));

test('what the role of backups can’t dump, the superuser dumps', () =>
  inTurn(async world => {
    await loadHardSchema(world);
    await world.sql('DROP USER MAPPING FOR writer SERVER elsewhere');
    await giveRolesHere(world);
    await as(world, APP, `SELECT lo_create(5000)`);
    const backUpAlone = async () => {
      const { value, stderr } = await captured(() => makeBackup(world, { upload: false }, ENV));
      return `${stderr}${value!.largeObjects}`;
    };
    const backUpInService = () => makeBackup(world, { upload: false }, { ...ENV, PGUSER: BACKUP });
    const closed = /backup may not read 1 large object/;
    await refused(backUpInService, 1, closed, /database-roles\.ts/);
    const told = await backUpAlone();
    assert.match(told, closed);
    assert.match(told, /: this backup connects as postgres instead\n {2}→ .*database-roles\.ts grants it/);
    await giveRolesHere(world);
    assert.not.match(await backUpAlone(), closed);
    await world.sql(`CREATE USER MAPPING FOR writer SERVER elsewhere OPTIONS (user 'x')`);
    const mapping = /only a superuser can dump user mapping of writer for elsewhere/;
    await refused(backUpInService, 1, mapping, /BACKUP_DB_PASSWORD/);
    assert.match(await backUpAlone(), mapping);
    // Nor is there no backup when the role is gone.
    const gone = await captured(() =>
      makeBackup(world, { upload: false }, { ...ENV, BACKUP_DB_USER: 'nobody_is_called_so' }),
    );
    assert.match(gone.stderr, /this backup connects as postgres instead/);
  }));

test('a restore keeps the owner, the rights and the settings; of an older backup the application gets all', () =>
  inTurn(async world => {
    await world.sql(`CREATE TABLE members AS SELECT 1 AS id; CREATE VIEW ids AS SELECT id FROM members`);
    const older = await makeBackup(world, { upload: false }, { APP_NAME: ENV.APP_NAME! });
    await giveRolesHere(world);
    await world.sql(
      `ALTER DATABASE app SET work_mem = '7MB'; ALTER DATABASE app SET app.key = 'x';
       SET ROLE ${APP}; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO backup`,
    );
    const before = [await contentOf(world), await propertiesOf(world)];
    const backup = await makeBackup(world, { upload: false }, ENV);
    const migrations = {
      ...ENV,
      MIGRATE_COMMAND: `psql -X -v ON_ERROR_STOP=1 "$DATABASE_URL" -c "INSERT INTO members VALUES (2)" -c "ALTER TABLE members ADD who name DEFAULT current_user"`,
    };
    for (const id of [backup.id, older.id]) {
      await restoreHere(world, id, { 'no-migrate': true }, ENV);
      const after = [await contentOf(world), await propertiesOf(world)] as typeof before;
      if (id === backup.id) assert.equal(after, before);
      else {
        assert.equal(await ownersLeft(world), []);
        assert.equal(after[1], before[1]);
      }
      await restoreHere(world, id, {}, migrations);
      assert.is(
        await as(world, APP, 'SELECT DISTINCT who FROM members'),
        `${APP}\n`,
        'migrations run as the application',
      );
      await makeBackup(world, { upload: false }, ENV);
    }
    await restoreHere(world, undefined, { undo: true }, ENV);
    await as(world, APP, 'ALTER TABLE members ADD again int');
    await as(world, BACKUP, 'SELECT * FROM members');
  }));

test('a server without the roles gets them with a restore, and their passwords by the next run', () =>
  inTurn(async world => {
    await world.sql('CREATE TABLE members AS SELECT 1 AS id');
    await giveRolesHere(world);
    const { id } = await makeBackup(world, { upload: false }, ENV);
    await world.sql('DROP DATABASE app WITH (FORCE)', 'postgres');
    await world.sql(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '${BACKUP}'`,
      'postgres',
    );
    await world.sql(`DROP ROLE ${APP}, ${BACKUP}`, 'postgres');
    const { stderr } = await captured(() => restoreHere(world, id, {}, ENV));
    assert.match(stderr, /created .*without passwords/);
    await giveRolesHere(world);
    assert.is(await as(world, APP, 'ALTER TABLE members ADD n int; SELECT id FROM members'), '1\n');
    await makeBackup(world, { upload: false }, ENV);
  }));

test.after(stop);
test.run();
