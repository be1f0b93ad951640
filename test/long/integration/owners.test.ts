import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runDrill } from '../../../scripts/lib/drill/run-drill.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { captured } from '../../support/core/here.ts';
import { finishHere, makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { contentOf, program, propertiesOf } from '../../support/postgres/compare.ts';
import {
  foreignDumps,
  lacksAllAtOnce,
  manyRoles,
  olderBackups,
  ownerOf,
  unchanged,
} from '../../support/restore/owners.ts';

const { inTurn, stop } = await createTurns();

test('a server without the roles: owners and privileges of roles with every kind of name, in both formats', () =>
  inTurn(world => manyRoles(world, ['custom', 'plain'])));

test('backups of before, without privileges and without a list of what they need', () =>
  inTurn(world => olderBackups(world, ['plain', 'custom'])));

test('dumps of another origin, with owners that are missing here', () =>
  inTurn(world => foreignDumps(world, ['', '--inserts', '--clean --if-exists', '--column-inserts'], true)));

test('a POSTGRES_USER that is no superuser restores what it may, and says before any change what it may not', () =>
  inTurn(async world => {
    const password = 'managed';
    await world.sql(
      `CREATE ROLE manager LOGIN CREATEDB CREATEROLE PASSWORD '${password}'; CREATE ROLE "Writ er" IN ROLE pg_monitor;
       GRANT "Writ er" TO manager; GRANT pg_signal_backend TO manager; ALTER DATABASE app OWNER TO manager`,
      'postgres',
    );
    await world.sql(
      `GRANT CREATE ON SCHEMA public TO "Writ er"; SET ROLE "Writ er";
       CREATE TABLE written AS SELECT 1 AS i; CREATE TABLE secrets (); ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
       CREATE POLICY seen ON secrets TO manager USING (true);
       CREATE FUNCTION read_secrets() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1';
       REVOKE EXECUTE ON FUNCTION read_secrets() FROM PUBLIC;
       ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
       RESET ROLE; REVOKE CREATE ON SCHEMA public FROM "Writ er"; ALTER DATABASE app OWNER TO "Writ er"`,
    );
    Object.assign(world.env, { POSTGRES_USER: 'manager', POSTGRES_PASSWORD: password });
    const settings = [
      `ALTER DATABASE app SET log_statement = 'ddl'`,
      `ALTER ROLE manager IN DATABASE app SET app.key = 'x'`,
    ];
    const asSuperuser = () => world.sql(settings.join('; '), 'postgres');
    await world.sql(`ALTER DATABASE app SET work_mem = '7MB'`, 'postgres');
    await asSuperuser();
    const before = [await contentOf(world), await propertiesOf(world)] as const;
    const { id } = await makeBackup(world, { format: 'custom', upload: false });
    await restoreHere(world, id);
    assert.not.equal(await propertiesOf(world), before[1], 'these settings are a superuser’s');
    await asSuperuser();
    assert.equal([await contentOf(world), await propertiesOf(world)], before, 'as a member');

    // Another server: the database is the user's own, and the role is there without the user as its member.
    await finishHere(world);
    await world.sql('DROP DATABASE app', 'postgres');
    await world.sql('REVOKE "Writ er" FROM manager', 'postgres');
    await world.sql('CREATE DATABASE app OWNER manager', 'postgres');
    const grant = 'GRANT "Writ er" TO "manager";';
    await unchanged(world, async () => {
      const text = await refused(
        () => restoreHere(world, id),
        1,
        /"manager" is not a member of "Writ er"/,
        /--no-owners/,
      );
      assert.ok(text.includes(`run as a superuser:\n      ${grant}\n`), text);
      const dry = { 'dry-run': true };
      await refused(() => restoreHere(world, id, dry), 1, /is not a member/);
    });
    const flags = { 'no-owners': true, database: 'without' };
    const { stderr } = await captured(() => restoreHere(world, id, flags));
    assert.match(stderr, /owners and privileges are left out: .*REVOKE … FROM PUBLIC/);
    assert.is(await ownerOf(world, 'written', 'without'), 'manager');
    const { rights, ...content } = await contentOf(world, 'without');
    assert.ok(rights.objects.every(({ owner, acl }) => acl === null || owner === 'pg_database_owner'));
    assert.equal(content.dump, before[0].dump, 'all else is there');

    // With the role missing, another user may create it, and becomes its member, which the backup does not say.
    for (const statement of ['DROP DATABASE app', 'DROP DATABASE without', 'DROP ROLE "Writ er"'])
      await world.sql(statement, 'postgres');
    await world.sql(`CREATE ROLE second LOGIN CREATEDB CREATEROLE PASSWORD '${password}'`, 'postgres');
    await restoreHere(world, id, {}, { POSTGRES_USER: 'second' });
    await asSuperuser();
    assert.equal([await contentOf(world), await propertiesOf(world)], before, 'on a bare server');

    // What takes a superuser.
    await world.sql(
      `ALTER ROLE manager NOCREATEROLE; CREATE ROLE other; CREATE SCHEMA closed AUTHORIZATION manager;
       GRANT other TO manager; CREATE TABLE closed.t (); ALTER TABLE closed.t OWNER TO other;
       CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
       CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION e(); CREATE EXTENSION postgres_fdw;
       CREATE TABLE of_super (); GRANT SELECT ON of_super TO manager, other WITH GRANT OPTION;
       SET ROLE other; GRANT SELECT ON of_super TO "Writ er"`,
    );
    const hard = await makeBackup(world, { upload: false });
    await world.sql('DROP OWNED BY other; REVOKE SELECT ON of_super FROM "Writ er"; DROP ROLE other');
    await unchanged(world, async () => {
      const text = await refused(
        () => restoreHere(world, hard.id),
        1,
        /2 problems found; nothing was changed/,
      );
      for (const part of [
        'role "other" is missing',
        '→ restore with a superuser as POSTGRES_USER, or leave out owners and privileges: --no-owners.',
        '"manager" may not give objects to the superuser "postgres"',
        '"manager" may not grant privileges in the name of "other"',
        'may not give objects in schema "closed" to "other", which may not create any there',
        'only a superuser may create: extension "postgres_fdw", event trigger e',
      ])
        assert.ok(text.includes(part), `${part}\n${text}`);
    });
  }));

test('all that a server lacks is said at once, by a drill too, before anything changes', () =>
  inTurn(async world => {
    await world.sql(`SET allow_in_place_tablespaces = on`, 'postgres');
    await program(
      world,
      'psql',
      '-qXdpostgres',
      '-cSET allow_in_place_tablespaces = on',
      `-cCREATE TABLESPACE "fast disk" LOCATION ''`,
    );
    try {
      const id = await lacksAllAtOnce(world);

      // A drill creates no role.
      const drilled = await captured(() => runDrill(configOf(world, {})));
      assert.is(drilled.code, 1, drilled.stderr);
      assert.match(drilled.error, /tablespaces are missing/);

      await restoreHere(world, id, { 'no-tablespaces': true, database: 'other' });
      assert.is(await ownerOf(world, 't', 'other'), 'leaver');
    } finally {
      await world.sql('DROP TABLE IF EXISTS t');
      await world.sql('DROP TABLESPACE IF EXISTS "fast disk"', 'postgres');
    }
  }));

test('a drill with an owner that has left goes on without owners, and creates no role', () =>
  inTurn(async world => {
    await world.sql('CREATE ROLE leaver; CREATE TABLE t AS SELECT 1 AS i; ALTER TABLE t OWNER TO leaver');
    await makeBackup(world);
    await world.sql('DROP TABLE t; DROP ROLE leaver');
    const { stderr, value, error } = await captured(() => runDrill(configOf(world, {})));
    assert.ok(value, error);
    assert.match(stderr, /the drill leaves out owners and privileges: role "leaver" is missing/);
    assert.is((await world.rows(`SELECT FROM pg_roles WHERE rolname = 'leaver'`)).length, 0);
  }));

test('the servers stop', stop);

test.run();
