import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { contentOf, databases, program, propertiesOf } from '../support/compare.ts';
import { begin, change, failed, stateOf, succeed } from '../support/expect.ts';
import { makeBackup, refused, restoreHere } from '../support/in-process.ts';
import { createTurns } from '../support/turns.ts';

const { inTurn, stop } = await createTurns();

test('--database restores into a new database of that name', () =>
  inTurn(async world => {
    await begin(world);
    world.env.MIGRATE_COMMAND = 'psql "$DATABASE_URL" -qXc "CREATE TABLE migrated ()"';
    await makeBackup(world, { format: 'custom', upload: false });
    await change(world, 'changed');
    const { kept, safetyBackup } = await succeed(world, 'restore', 'latest', '--database', 'fished', '--yes');
    assert.equal([kept, safetyBackup], [null, null]);
    assert.equal([await stateOf(world), await stateOf(world, 'fished')], ['changed', 'backed up']);
    assert.equal(await databases(world), ['app', 'fished']);
    assert.is((await world.rows(`SELECT FROM pg_class WHERE relname = 'migrated'`, 'fished')).length, 0);

    for (const taken of ['fished', 'app', 'postgres', 'template1']) {
      await refused(
        () => restoreHere(world, 'latest', { database: taken }),
        2,
        new RegExp(`database ${taken} already exists`),
      );
    }
    for (const database of ['', 'ü'.repeat(32), 'two\nlines'])
      await refused(() => restoreHere(world, 'latest', { database }), 2, /--database takes a name/);
    failed(await world.run('restore', ['latest', '--database', '', '--yes']), 2, /--database takes a name/);
    assert.equal(await databases(world), ['app', 'fished']);
    assert.is(await stateOf(world), 'changed');
  }));

/** With other options, and under an old name: test/long/integration/old-dump.test.ts. */
test('a plain dump without a manifest, as pg_dump | gzip makes it', () =>
  inTurn(async world => {
    await begin(world);
    const directory = join(world.directory, 'old');
    const dump = (name: string, ...args: string[]) =>
      program(
        world,
        'bash',
        '-c',
        'mkdir -p "$(dirname "$0")" && "$@" | gzip -9 > "$0"',
        join(directory, name),
        ...args,
      );
    await dump('clean.sql.gz', 'pg_dump', 'app', '--clean', '--if-exists');
    await dump('create.sql.gz', 'pg_dump', 'app', '--create', '--clean', '--if-exists');
    await dump('all.sql.gz', 'pg_dumpall', '--clean');
    await dump('cut.sql.gz', 'sh', '-c', 'pg_dump app | head -n -10');
    await change(world, 'changed');

    const restored = await succeed(world, 'restore', join(directory, 'clean.sql.gz'), '--yes');
    assert.match(restored.stderr, /no manifest/);
    assert.match(restored.stderr, /not compared, because there is no manifest/);
    assert.is(restored.dataAgeSeconds, null);
    assert.is(await stateOf(world), 'backed up');
    assert.is(await stateOf(world, restored.kept), 'changed');
    const restore = (name: string) => () => restoreHere(world, join(directory, name));
    await refused(restore('create.sql.gz'), 2, /connects to another database \(\\connect app\)/);
    await refused(restore('all.sql.gz'), 2, /connects to another database/);
    await refused(restore('cut.sql.gz'), 3, /last line of the dump is missing/);
    assert.equal(await databases(world), ['app', restored.kept]);
    assert.is(await stateOf(world), 'backed up');
  }));

test('migrations run against the new database, and a failing one stops the restore', () =>
  inTurn(async world => {
    await begin(world);
    const backup = await makeBackup(world, { upload: false });
    await change(world, 'changed');
    const before = [await contentOf(world), await propertiesOf(world)];

    world.env.MIGRATE_COMMAND =
      'psql "$DATABASE_URL" -qXc "UPDATE state SET name = \'half migrated\'" && echo >&2 "ERROR: no such column" && exit 3';
    const failing = await world.run('restore', ['latest', '--yes']);
    failed(failing, 1, /could not run the migrations.*ERROR: no such column/, /--no-migrate/);
    assert.equal([await contentOf(world), await propertiesOf(world)], before);
    assert.equal(await databases(world), ['app']);

    // What the message advises means the same backup, not the one just made of the database to be replaced.
    const without = await succeed(world, 'restore', 'latest', '--no-migrate', '--yes');
    assert.is(without.restored, backup.id);
    assert.match(without.stderr, /migrations: skipped/);
    assert.is(await stateOf(world), 'backed up');

    world.env.MIGRATE_COMMAND =
      'psql "$DATABASE_URL" -qXc "UPDATE state SET name = name || \', migrated\' RETURNING current_database()"';
    const migrated = await restoreHere(world, backup.id);
    assert.is(await stateOf(world), 'backed up, migrated');
    assert.is(await stateOf(world, migrated.kept!), 'backed up');
  }));

test('--undo, undo of an undo, --finish; --dry-run changes nothing', () =>
  inTurn(async world => {
    await begin(world, 'one');
    await refused(() => restoreHere(world, 'latest'), 3, /there is no verified backup of app/);
    for (const flags of [{ undo: true }, { finish: true }])
      await refused(() => restoreHere(world, undefined, flags), 1, /there is no kept database of app/);
    failed(await world.run('restore', ['--undo', '--yes']), 1, /there is no kept database of app/);
    const one = await makeBackup(world);
    await change(world, 'two');
    const two = await makeBackup(world);
    await change(world, 'three');

    const files = () => readdirSync(world.env.BACKUP_DIR!).sort();
    const unchanged = async (dryRun: () => Promise<{ dryRun?: boolean }>) => {
      const before = [await databases(world), files(), await stateOf(world)];
      assert.is((await dryRun()).dryRun, true);
      assert.equal([await databases(world), files(), await stateOf(world)], before);
    };
    const dry = { 'dry-run': true };
    await unchanged(() => succeed(world, 'restore', 'latest', '--dry-run', '--yes'));
    await unchanged(() => restoreHere(world, 'latest', { ...dry, from: 's3' }));
    await unchanged(() => restoreHere(world, 'latest', { ...dry, database: 'fished' }));

    const first = await restoreHere(world, one.id);
    assert.is(await stateOf(world), 'one');
    const second = await restoreHere(world, two.id);
    assert.is(await stateOf(world), 'two');
    assert.equal(await databases(world), ['app', first.kept, second.kept]);
    assert.equal([await stateOf(world, first.kept!), await stateOf(world, second.kept!)], ['three', 'one']);

    await unchanged(() => restoreHere(world, undefined, { ...dry, undo: true }));
    await unchanged(() => restoreHere(world, undefined, { ...dry, finish: true }));
    for (const flags of [{ database: 'x' }, { 'no-migrate': true }, { from: 's3' }]) {
      await refused(
        () => restoreHere(world, undefined, { undo: true, ...flags }),
        2,
        /--undo and --finish can't be combined/,
      );
    }
    const both = { undo: true, finish: true };
    await refused(() => restoreHere(world, undefined, both), 2, /give either a backup, --undo or --finish/);
    failed(await world.run('restore', ['--undo']), 2, /no terminal to confirm this on/, /--yes/);

    const undone = await succeed(world, 'restore', '--undo', '--yes');
    assert.is(undone.restored, second.kept);
    assert.equal([await stateOf(world), await stateOf(world, undone.kept)], ['one', 'two']);
    const redone = await restoreHere(world, undefined, { undo: true });
    assert.is(redone.restored, undone.kept);
    assert.equal([await stateOf(world), await stateOf(world, redone.kept!)], ['two', 'one']);

    // A database that is gone altogether is what --undo is for, too.
    await world.sql('DROP DATABASE app', 'postgres');
    const back = await restoreHere(world, undefined, { undo: true });
    assert.equal([back.restored, back.kept], [redone.kept, null]);
    assert.is(await stateOf(world), 'one');
    const older = 'app_before_20200131_020000';
    await world.sql(`CREATE DATABASE ${older}`, 'postgres');
    const { dropped } = await succeed(world, 'restore', '--finish', '--yes');
    assert.equal(dropped, [first.kept, older]);
    assert.equal(await databases(world), ['app']);
  }));

test('the servers stop', stop);

test.run();
