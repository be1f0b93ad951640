import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findSource } from '../../scripts/lib/backup/find.ts';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { identifier } from '../../scripts/lib/postgres/client.ts';
import { configOf, plant, store } from '../support/backup/old-backups.ts';
import { checkHere, finishHere, makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { ask } from '../support/postgres/ask.ts';
import { databases } from '../support/postgres/compare.ts';
import { assertPasswordHidden, NAME, PASSWORD, roundTrip } from '../support/postgres/odd-names.ts';

const { inTurn, stop } = await createTurns({ password: PASSWORD });

/** In both formats, with each script as a process, and names that libpq would take for an option or an address: test/long/integration/names.test.ts. */
test('a database, a password and directories with every character that a shell minds', () =>
  inTurn(async plain => {
    const directory = join(plain.directory, `it's a "directory" $HOME & \`x\` é`);
    mkdirSync(directory);
    Object.assign(plain.env, { HOME: directory, POSTGRES_DB: NAME });
    for (const name of ['backup', 'log', 'state'])
      plain.env[`${name.toUpperCase()}_DIR`] = join(directory, name);
    await plain.sql(`ALTER DATABASE app RENAME TO ${identifier(NAME)}`, 'postgres');
    const world: World = {
      ...plain,
      database: NAME,
      sql: (text, name = NAME) => plain.sql(text, name),
      rows: (text, name = NAME) => plain.rows(text, name),
    };
    await world.sql('CREATE TABLE t AS SELECT generate_series(1, 10) AS i');
    const { id } = await roundTrip(world, 'plain', 's3');
    const undone = await restoreHere(world, undefined, { undo: true });
    const finished = await finishHere(world);
    assert.is((await world.rows('SELECT i FROM t')).length, 11);
    assert.equal(finished.dropped, [undone.kept]);
    assert.is(await checkHere(world, 'latest', {}, 's3'), id);
    assertPasswordHidden(directory);
  }));

test('a backup is found by id, file and address, and only by its whole id', () =>
  inTurn(async world => {
    world.env.APP_NAME = 'app';
    await world.sql('CREATE TABLE t AS SELECT 1 AS i');
    const STAGING = { DEPLOY_ENV: 'staging' };
    const backup = await makeBackup(world);
    assert.match(backup.id, /^app_production_/);
    const directory = world.env.BACKUP_DIR!;
    const staging = await plant(directory, backup.id, { environment: 'staging' });
    await store(world, STAGING, staging);
    const artifact = backup.artifact.name;
    const file = join(world.env.BACKUP_DIR!, artifact);

    const resolves = async (wanted: string, expected: string, from?: 'local' | 's3', env = {}) =>
      assert.is((await findSource(configOf(world, env), wanted, from)).name, expected);
    await resolves(backup.id, backup.id);
    await resolves(backup.id, backup.id, 's3');
    await resolves(file, backup.id);
    await resolves(`s3://bucket/database/${artifact}`, backup.id);
    await resolves('latest', backup.id);
    await resolves(`s3://bucket/database/${artifact}`, backup.id, undefined, STAGING); // production's data, on purpose
    const cwd = world.env.BACKUP_DIR!;
    const here = process.cwd();
    try {
      for (const [from, path] of [
        [ROOT, relative(ROOT, file)],
        [cwd, artifact],
        [cwd, `./${artifact}`],
      ] as const) {
        process.chdir(from);
        await resolves(path, backup.id);
      }
    } finally {
      process.chdir(here);
    }

    const refuses = (wanted: string, exitCode: number, message: RegExp, env = {}) =>
      refused(() => restoreHere(world, wanted, {}, env), exitCode, message);
    await refuses(backup.id.slice(0, -1), 2, /is not a backup id/);
    await refuses('app', 2, /is not a backup id/);
    await refuses(backup.id, 3, /there is no verified backup app_production_/, STAGING);
    await refuses(staging.id, 3, /there is no verified backup app_staging_/);
    await refuses(join(world.env.BACKUP_DIR!, 'none.sql.gz'), 2, /none\.sql\.gz is not a file/);
    await refuses(join(world.env.BACKUP_DIR!, basename(file, '.gz')), 2, /\.sql is not a file/);
    await refuses(join(world.env.BACKUP_DIR!, `${backup.id}.json`), 2, /is not a dump of a known format/);
    await refuses('s3://bucket', 2, /is not the address of an object/);
    await refuses('s3://bucket/database/none.sql.gz', 3, /none\.sql\.gz is missing/);
    await refuses(`${backup.id}0`, 2, /is not a backup id/);
    assert.equal(await databases(world), ['app']);

    // `app` in staging and `app_staging` in production share the beginning of all names.
    const other = await plant(directory, backup.id, { app: 'app_staging' });
    await store(world, { APP_NAME: 'app_staging' }, other);
    assert.match(other.id, /^app_staging_production_/);
    await resolves('latest', staging.id, 's3', STAGING);
    await resolves('latest', staging.id, 'local', STAGING);
    await resolves('latest', backup.id, 's3');
    await resolves('latest', backup.id, 'local');
  }));

test('what the tests themselves ask: texts as they are, a transaction for each, and no failure unheard', () =>
  inTurn(async world => {
    assert.equal(await world.rows(`SELECT 'é"\\' AS "ü, 1", NULL AS no`), [{ 'ü, 1': 'é"\\', no: null }]);
    assert.is(await world.sql(`SELECT 1, 'a'; SELECT 2, NULL`), '1|a\n2|\n');
    const why = (sql: string, database?: string) =>
      world.sql(sql, database).then(String, (error: Error) => error.message);
    assert.is(await why('CREATE TABLE half (); SELECT nothing'), 'ERROR: column "nothing" does not exist');
    assert.is(await why('SELECT FROM half'), 'ERROR: relation "half" does not exist');
    assert.is(await why('SELECT 1', 'none'), 'FATAL: database "none" does not exist');
    assert.match(
      await why('SELECT pg_terminate_backend(pg_backend_pid())'),
      /^FATAL: terminating connection/,
    );
    const lost = createServer(socket => socket.destroy()).listen(0, '127.0.0.1');
    await once(lost, 'listening');
    const { port } = lost.address() as { port: number };
    const { message } = await ask({ ...world.pg.postgres, port }, 'app', 'SELECT 1').then(
      String,
      error => error,
    );
    lost.close();
    assert.match(message, /terminated unexpectedly|ECONNRESET/);
  }));

test('the servers stop', stop);

test.run();
