/** Owners and privileges. What a server lacks, backups of before, dumps of another origin and drills: test/long/integration/owners.test.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { swapIn } from '../../scripts/lib/restore/swap.ts';
import { configOf, plant } from '../support/backup/old-backups.ts';
import { captured } from '../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { contentOf } from '../support/postgres/compare.ts';
import { manyRoles, unchanged } from '../support/restore/owners.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/** In both formats: test/long/integration/owners.test.ts. */
test('a server without the roles: owners and privileges of roles with every kind of name', () =>
  inTurn(world => manyRoles(world, ['plain'])));

/** On a bare server and as a drill, too: test/long/integration/owners.test.ts. */
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
       CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
       REVOKE EXECUTE ON FUNCTION read_secrets() FROM PUBLIC;
       ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
       RESET ROLE; REVOKE CREATE ON SCHEMA public FROM "Writ er"; ALTER DATABASE app OWNER TO "Writ er"`,
    );
    Object.assign(world.env, { POSTGRES_USER: 'manager', POSTGRES_PASSWORD: password });
    const settings = [
      `ALTER DATABASE "app" SET "log_statement" TO 'ddl'`,
      `ALTER DATABASE "app" SET "app"."key" TO 'x'`,
    ];
    await world.sql(`${settings.join('; ')}; ALTER DATABASE app SET work_mem = '7MB'`, 'postgres');
    const before = await contentOf(world);
    const { id, ...manifest } = await makeBackup(world, { format: 'custom', upload: false });
    const needs = manifest.needs!;
    assert.equal(needs.superuser, []);
    const { stderr } = await captured(() => restoreHere(world, id, { 'dry-run': true }));
    const said = settings.map(setting => `\n      ${setting};`).join('');
    assert.ok(
      stderr.includes(
        `the restored one is without these settings. After the restore, run as a superuser:${said}\n`,
      ),
      stderr,
    );
    await restoreHere(world, id, { database: 'copy' });
    assert.equal(await contentOf(world, 'copy'), before, 'as a member');
    await swapIn(configOf(world, {}).postgres, 'app', 'copy', 'app_before_20260101_000000');
    assert.equal(await contentOf(world), before, 'swapped in');

    // Another server: the role is there without the user as its member.
    await world.sql('REVOKE "Writ er" FROM manager', 'postgres');
    const grant = 'GRANT "Writ er" TO "manager";';
    await unchanged(world, async () => {
      const text = await refused(
        () => restoreHere(world, id),
        1,
        /"manager" is not a member of "Writ er"/,
        /--no-owners/,
      );
      assert.ok(text.includes(`run as a superuser:\n      ${grant}\n`), text);
    });
    await world.sql('GRANT "Writ er" TO manager', 'postgres');

    // What takes a superuser, as the manifest says it. Of such a database: test/long/integration/owners.test.ts.
    await world.sql('ALTER ROLE manager NOCREATEROLE', 'postgres');
    const role = (name: string, uses: (typeof needs)['roles'][number]['uses'], closed: string[] = []) => ({
      name,
      uses,
      cannotCreateIn: closed,
    });
    const hard = await plant(world.env.BACKUP_DIR!, id, {
      days: 1,
      manifest: {
        needs: {
          ...needs,
          roles: [
            ...needs.roles.filter(({ name }) => name !== 'postgres'),
            role('other', ['owner', 'grantor'], ['closed']),
            role('postgres', ['owner']),
          ],
          superuser: ['extension "postgres_fdw"', 'event trigger e'],
        },
      },
    });
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

test('the servers stop', stop);

test.run();
