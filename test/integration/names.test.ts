import { mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config.ts';
import { identifier } from '../../scripts/lib/postgres.ts';
import { databases } from '../support/compare.ts';
import { inWorld, type World } from '../support/world.ts';

const NAME = `It's "Ü" -d=$(x) \\n%s;&| 日本`;
const PASSWORD = 'p\'a"s s$w(o)r`d\\!&|;<>*?[x]{y}~#%41=:/@+,^é';

async function succeed(world: World, script: string, ...args: string[]) {
  const { code, stdout, stderr } = await world.run(script, [...args, '--json']);
  assert.is(code, 0, stderr);
  for (const form of [PASSWORD, encodeURIComponent(PASSWORD)]) {
    assert.not.ok((stdout + stderr).includes(form), 'the password is in the output');
  }
  return JSON.parse(stdout);
}

/** All text files below a directory, by path. */
function texts(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.(jsonl?|log|lock)$/.test(entry.name))
    .map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
}

test('a database, a password and directories with every character that a shell minds', async () => {
  const directory = join(mkdtempSync(join(tmpdir(), 'world-')), `it's a "directory" $HOME & \`x\` é`);
  mkdirSync(directory);
  try {
    await inWorld(
      async world => {
        await world.sql('CREATE TABLE t AS SELECT generate_series(1, 10) AS i');
        for (const format of ['plain', 'custom']) {
          const { backup } = await succeed(world, 'backup', '--format', format);
          assert.is(backup.database, NAME);
          await world.sql('INSERT INTO t VALUES (0)');
          world.env.MIGRATE_COMMAND =
            'psql -qX -v ON_ERROR_STOP=1 "$DATABASE_URL" -c "CREATE TABLE migrated AS SELECT current_database() AS name"';
          const from = format === 'plain' ? 'local' : 's3';
          const restored = await succeed(world, 'restore', 'latest', '--from', from, '--yes');
          assert.is(restored.database, NAME);
          assert.is((await world.rows('SELECT i FROM t')).length, 10);
          const [migrated] = await world.rows<{ name: string }>('SELECT name FROM migrated');
          assert.ok(migrated!.name.startsWith(`${NAME}_new_`), migrated!.name);
          assert.equal(await databases(world), [NAME, restored.kept]);
          await succeed(world, 'restore', '--undo', '--yes');
          assert.is((await world.rows('SELECT i FROM t')).length, 11);
          await succeed(world, 'restore', '--finish', '--yes');
          await world.sql('DELETE FROM t WHERE i = 0');
        }
        const other = `dbname=postgres user='x`;
        await succeed(world, 'restore', 'latest', '--database', other, '--yes');
        assert.is((await world.rows('SELECT i FROM t', other)).length, 10);
        assert.equal(await databases(world), [NAME, other].sort());
        const { verified } = await succeed(world, 'verify-backup', 'latest', '--from', 's3');
        assert.ok(verified);
        for (const text of texts(directory)) assert.not.ok(text.includes(PASSWORD), text);
        assert.ok(readdirSync(join(directory, 'backups')).length > 0, 'backups are where BACKUP_DIR says');
      },
      { database: NAME, password: PASSWORD, directory },
    );
  } finally {
    await rm(join(directory, '..'), { recursive: true, force: true });
  }
});

test('names that libpq would take for an option, an address or a connection string', () =>
  inWorld(async world => {
    for (const database of ['-dash', 'host=example', 'postgresql://x/y', '%', '"']) {
      await world.sql(`CREATE DATABASE ${identifier(database)}`, 'postgres');
      await world.sql('CREATE TABLE t AS SELECT 1 AS i', database);
      world.env.POSTGRES_DB = database;
      await succeed(world, 'backup', '--format', 'custom', '--no-upload');
      await world.sql('DROP TABLE t', database);
      const restored = await succeed(world, 'restore', 'latest', '--yes');
      assert.is(restored.database, database);
      assert.equal(await world.rows('SELECT i FROM t', database), [{ i: 1 }]);
    }
  }));

test('a backup is found by id, file and address, and only by its whole id', () =>
  inWorld(async world => {
    world.env.APP_NAME = 'app';
    await world.sql('CREATE TABLE t AS SELECT 1 AS i');
    const { backup: staging } = await succeed(world, 'backup', '--env', 'staging');
    const { backup } = await succeed(world, 'backup');
    assert.match(backup.id, /^app_production_/);
    const artifact = backup.artifact.name;
    const file = join(world.env.BACKUP_DIR!, artifact);

    const resolves = async (wanted: string, expected: string, ...args: string[]) => {
      const { source, dryRun } = await succeed(world, 'restore', wanted, '--dry-run', ...args);
      assert.equal({ source, dryRun }, { source: expected, dryRun: true });
    };
    await resolves(backup.id, backup.id);
    await resolves(backup.id, backup.id, '--from', 's3');
    await resolves(file, backup.id);
    await resolves(`s3://bucket/database/${artifact}`, backup.id);
    await resolves('latest', backup.id);
    await resolves('latest', staging.id, '--env', 'staging');
    await resolves(`s3://bucket/database/${artifact}`, backup.id, '--env', 'staging'); // production's data, on purpose
    for (const wanted of [relative(ROOT, file), `./${artifact}`, artifact]) {
      const cwd = wanted.startsWith('..') ? ROOT : world.env.BACKUP_DIR!;
      const { code, stderr } = await world.run('restore', [wanted, '--dry-run'], {}, { cwd });
      assert.is(code, 0, stderr);
    }

    const refused = async (args: string[], exitCode: number, message: RegExp) => {
      const { code, stdout, stderr } = await world.run('restore', [...args, '--yes']);
      assert.is(code, exitCode, stderr);
      assert.match(stderr, message);
      assert.is(stdout, '');
    };
    await refused([backup.id.slice(0, -1)], 2, /is no backup’s id/);
    await refused([`${backup.id}0`], 2, /is no backup’s id/);
    await refused(['app'], 2, /is no backup’s id/);
    await refused([backup.id, '--env', 'staging'], 3, /there is no whole backup app_production_/);
    await refused([staging.id], 3, /there is no whole backup app_staging_/);
    await refused([join(world.env.BACKUP_DIR!, 'none.sql.gz')], 2, /\.sql(\.gz)? is no file/);
    await refused([join(world.env.BACKUP_DIR!, basename(file, '.gz'))], 2, /\.sql(\.gz)? is no file/);
    await refused([join(world.env.BACKUP_DIR!, `${backup.id}.json`)], 2, /is no dump that is known here/);
    await refused(['s3://bucket'], 2, /is no address of an object/);
    await refused(['s3://bucket/database/none.sql.gz'], 3, /none\.sql\.gz is missing/);
    assert.equal(await databases(world), ['app']);

    // `app` in staging and `app_staging` in production share the beginning of all names.
    const sibling = { APP_NAME: 'app_staging' };
    const other = await world.run('backup', ['--json'], sibling);
    assert.is(other.code, 0, other.stderr);
    assert.match(JSON.parse(other.stdout).backup.id, /^app_staging_production_/);
    await resolves('latest', staging.id, '--env', 'staging', '--from', 's3');
    await resolves('latest', backup.id, '--from', 's3');
  }));

test.run();
