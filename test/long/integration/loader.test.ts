/** With whose rights code in a dump runs: those of a role that lives for the load and may do nothing else. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runLoadCheck } from '../../../scripts/lib/drill/load-check.ts';
import { runDrill } from '../../../scripts/lib/drill/run-drill.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { captured } from '../../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import type { World } from '../../support/core/world.ts';
import { throughDocker } from '../../support/docker/exec-stub.ts';
import { contentOf, databases, program } from '../../support/postgres/compare.ts';
import { forgeCustom, hostileSchema, untouched } from '../../support/restore/attacks.ts';
import { writeDump } from '../../support/restore/plain-dumps.ts';

const { inTurn, stop } = await createTurns();

const loaders = (world: World) =>
  world.rows(`SELECT rolname FROM pg_roles WHERE starts_with(rolname, '_loader_')`, 'postgres');

for (const format of ['plain', 'custom'] as const)
  test(`${format}: functions of rows, indexes and views can do nothing on the server in a drill, a load check and a restore`, () =>
    inTurn(async world => {
      await world.sql(hostileSchema(world));
      const check = await untouched(world);
      const before = await contentOf(world);
      const { id } = await makeBackup(world, { format });
      for (const load of [
        () => runDrill(configOf(world, {})),
        () => runLoadCheck(configOf(world, {}), 'latest', 'local'),
      ]) {
        const { value, error } = await captured<unknown>(load);
        assert.ok(value, error);
        await check();
      }
      await restoreHere(world, id, { database: 'other' });
      await check();
      await restoreHere(world, id);
      await check();
      assert.equal(await contentOf(world), before, 'and all is as it was, with its owners');
      assert.equal(await loaders(world), []);
      // The test sees what it looks for.
      await program(world, 'psql', '-qXdpostgres', '-cDROP DATABASE other');
      await restoreHere(world, id, { database: 'other', 'as-superuser': true });
      assert.ok(
        await check().then(
          () => false,
          () => true,
        ),
      );
    }));

test('a forged custom backup: its statements can do nothing on the server', () =>
  inTurn(async world => {
    const padding = 'x'.repeat(60);
    await world.sql(`CREATE ROLE attacker; CREATE TABLE t AS SELECT 1 AS i;
      COMMENT ON TABLE t IS '1${padding}'; COMMENT ON COLUMN t.i IS '2${padding}'`);
    const check = await untouched(world);
    const backup = await makeBackup(world, { format: 'custom', upload: false });
    await forgeCustom(world, backup, [
      [`COMMENT ON TABLE public.t IS '1${padding}';`, 'DROP DATABASE app;'],
      [`COMMENT ON COLUMN public.t.i IS '2${padding}';`, `SELECT pg_read_file('/etc/passwd');`],
    ]);
    const attempt = (accept: boolean) =>
      refused(
        () => restoreHere(world, backup.id, { 'allow-foreign': true, 'accept-errors': accept }),
        1,
        /must be owner of database app/,
      );
    await attempt(false);
    const all = await attempt(true);
    assert.match(all, /permission denied for function pg_read_file/);
    await check();
    assert.equal(await loaders(world), []);
  }));

/** As fast as with trusted languages only: what is not trusted is missing, and no row depends on it. */
test('functions that only a superuser can load: a drill says what it does not prove; a signed restore loads them', () =>
  inTurn(async world => {
    await world.sql(`CREATE TABLE t AS SELECT 1 AS i; CREATE FUNCTION plain(int) RETURNS int LANGUAGE internal IMMUTABLE AS 'int4abs';
      CREATE INDEX ON t (plain(i));
      CREATE FUNCTION hidden(int) RETURNS bool LEAKPROOF LANGUAGE sql AS 'SELECT true'`);
    const before = await contentOf(world);
    const env = { BACKUP_SIGNING_KEY: 'a'.repeat(64) };
    const { id } = await makeBackup(world, {}, env);
    const drilled = await captured(() => runDrill(configOf(world, env)));
    assert.ok(drilled.value, drilled.error);
    const only =
      'only a superuser can load function public.hidden (leakproof), function public.plain (internal)';
    assert.ok(drilled.value.notProven!.includes(only), drilled.value.notProven!);
    assert.match(drilled.stderr, /accepted that \d statements of \w+ failed/);
    const { stderr, error, value } = await captured(() => restoreHere(world, id, { database: 'other' }, env));
    assert.ok(value, error);
    assert.ok(stderr.includes(`loading with the rights of postgres, a superuser: ${only}`), stderr);
    assert.equal(await contentOf(world, 'other'), before);

    // Signed by nobody that this server knows, it is refused before anything changes.
    const text = await refused(
      () => restoreHere(world, id, { 'allow-foreign': true }, { BACKUP_SIGNING_KEY: 'b'.repeat(64) }),
      1,
      /was not made here/,
      /--as-superuser/,
    );
    assert.ok(text.includes(only));
    assert.equal(await databases(world), ['app', 'other']);
  }));

test('what only a superuser may make is made with its owner, by forms that are known', () =>
  inTurn(async world => {
    await world.sql(`CREATE ROLE "Own er"; CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION postgres_fdw;
      COMMENT ON EXTENSION hstore IS E'it''s \\\\ mine'; ALTER SCHEMA ext OWNER TO "Own er";
      CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; CREATE TABLE z (i serial, h ext.hstore);
      ALTER SEQUENCE z_i_seq RENAME TO a_seq; ALTER TABLE z OWNER TO "Own er"; INSERT INTO z VALUES (DEFAULT, 'a=>1');
      ALTER TABLE z ENABLE ROW LEVEL SECURITY; ALTER TABLE z FORCE ROW LEVEL SECURITY; CREATE MATERIALIZED VIEW m AS TABLE z;
      CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'it fires'; END $$;
      CREATE PUBLICATION every FOR ALL TABLES; COMMENT ON PUBLICATION every IS 'all';
      CREATE EVENT TRIGGER noted ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'GRANT') EXECUTE FUNCTION noted();
      ALTER EVENT TRIGGER noted ENABLE ALWAYS`);
    const before = await contentOf(world);
    for (const [format, env] of [
      ['custom', {}],
      ['plain', throughDocker(world)],
    ] as const) {
      const { id } = await makeBackup(world, { format, upload: false });
      Object.assign(world.env, env);
      const { stderr, error, value } = await captured(() => restoreHere(world, id, { database: 'other' }));
      assert.ok(value, error);
      assert.not.match(stderr, /superuser/, 'without its rights');
      assert.equal(await contentOf(world, 'other'), before, format);
      assert.equal(await loaders(world), []);
      await program(world, 'psql', '-qXdpostgres', '-cDROP DATABASE other');
    }
  }));

test('the role has no rights, a password that is in no statement, and goes when it can’t log in', () =>
  inTurn(async world => {
    await world.sql(`CREATE TABLE t AS SELECT 1 AS i;
      CREATE FUNCTION whoami() RETURNS text LANGUAGE sql AS 'SELECT session_user::text';
      CREATE MATERIALIZED VIEW seen AS SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolreplication,
        rolvaliduntil < now() + interval '25 hours' AS ends, d.datdba = r.oid AS owns, ARRAY(SELECT roleid FROM pg_auth_members
          WHERE member = r.oid) AS groups
        FROM pg_roles r, pg_database d WHERE rolname = whoami() AND datname = current_database()`);
    const { id } = await makeBackup(world, { upload: false });
    await restoreHere(world, id, { database: 'other' });
    const [{ rolname, ...seen }] = (await world.rows('SELECT * FROM seen', 'other')) as [{ rolname: string }];
    assert.match(rolname, /^_loader_[0-9a-f]{12}_\d{8}_\d{6}_[0-9a-f]{8}$/);
    assert.equal(seen, {
      rolsuper: false,
      rolcreatedb: false,
      rolcreaterole: false,
      rolreplication: false,
      ends: true,
      owns: true,
      groups: [],
    });

    const rules = `${world.pg.directory}/data/pg_hba.conf`;
    const old = readFileSync(rules, 'utf8');
    const rule = async (text: string) => {
      await program(world, 'bash', '-c', 'cat > "$0" <<< "$1"', rules, text);
      await world.sql('SELECT pg_reload_conf()', 'postgres');
    };
    try {
      await rule(`host all postgres 127.0.0.1/32 scram-sha-256\nhost all all all reject`);
      const { stderr, value, error } = await captured(() => restoreHere(world, id, { database: 'more' }));
      assert.ok(value, error);
      assert.match(
        stderr,
        /loading with the rights of postgres, a superuser: the role that loads can't log in/,
      );
      assert.is(stderr.match(/can't log in/g)!.length, 1);
      const path = writeDump(world, 'foreign.sql.gz', 'CREATE TABLE t (i int);');
      await refused(
        () => restoreHere(world, path, { database: 'third' }),
        1,
        /the role that loads can't log in/,
        /--as-superuser/,
      );
    } finally {
      await rule(old);
    }
    assert.equal(await databases(world), ['app', 'more', 'other']);
    assert.equal(await loaders(world), []);
  }));

test('the servers stop', stop);

test.run();
