import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { begin, change, failed, stateOf, succeed } from '../../support/core/expect.ts';
import { captured } from '../../support/core/here.ts';
import { finishHere, makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import { contentOf, databases, program, propertiesOf } from '../../support/postgres/compare.ts';

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

    for (const taken of ['app', 'template1']) {
      await refused(
        () => restoreHere(world, 'latest', { database: taken }),
        2,
        new RegExp(`database ${taken} already exists`),
      );
    }
    for (const database of ['', 'ü'.repeat(32), 'two\nlines'])
      await refused(() => restoreHere(world, 'latest', { database }), 2, /--database takes a name/);
    assert.equal(await databases(world), ['app', 'fished']);
    assert.is(await stateOf(world), 'changed');
  }));

const MIGRATE =
  'psql "$DATABASE_URL" -qXc "UPDATE state SET name = name || \', migrated\' RETURNING current_database()"';

/** With other options, and under an old name: test/long/integration/old-dump.test.ts. */
test('a plain dump without a manifest, as pg_dump | gzip makes it; migrations run against the new database', () =>
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

    world.env.MIGRATE_COMMAND = MIGRATE;
    const { value: restored, stderr } = await captured(() =>
      restoreHere(world, join(directory, 'clean.sql.gz')),
    );
    assert.ok(restored?.kept, stderr);
    assert.match(stderr, /no manifest/);
    assert.match(stderr, /not compared, because there is no manifest/);
    assert.is(restored.dataAgeSeconds, null);
    assert.equal(
      [await stateOf(world), await stateOf(world, restored.kept)],
      ['backed up, migrated', 'changed'],
    );
    const restore = (name: string) => () => restoreHere(world, join(directory, name));
    await refused(restore('create.sql.gz'), 2, /creates or connects to databases\n.*pg_dump --create/);
    await refused(restore('all.sql.gz'), 2, /creates or connects to databases/);
    await refused(restore('cut.sql.gz'), 3, /last line of the dump is missing/);
    assert.equal(await databases(world), ['app', restored.kept]);
    assert.is(await stateOf(world), 'backed up, migrated');
  }));

test('a migration that fails stops the restore', () =>
  inTurn(async world => {
    await begin(world);
    const backup = await makeBackup(world, { upload: false });
    await change(world, 'changed');
    const before = [await contentOf(world), await propertiesOf(world)];

    world.env.MIGRATE_COMMAND =
      'psql "$DATABASE_URL" -qXc "UPDATE state SET name = \'half migrated\'" && echo >&2 "ERROR: no such column" && exit 3';
    const why = /could not run the migrations.*ERROR: no such column/;
    await refused(() => restoreHere(world, 'latest'), 1, why, /--no-migrate/);
    assert.equal([await contentOf(world), await propertiesOf(world)], before);
    assert.equal(await databases(world), ['app']);

    // What the message advises means the same backup, not the one just made of the database to be replaced.
    const without = await captured(() => restoreHere(world, 'latest', { 'no-migrate': true }));
    assert.is(without.value?.restored, backup.id, without.stderr);
    assert.match(without.stderr, /migrations: skipped/);
    assert.is(await stateOf(world), 'backed up');
  }));

test('--undo, undo of an undo, --finish; --dry-run changes nothing', () =>
  inTurn(async world => {
    await begin(world, 'one');
    await refused(() => restoreHere(world, 'latest'), 3, /there is no verified backup of app/);
    await refused(() => finishHere(world), 1, /there is no kept database of app/);
    failed(await world.run('restore', ['--undo', '--yes']), 1, /there is no kept database of app/);
    const one = await makeBackup(world);
    await change(world, 'two');

    const files = () => readdirSync(world.env.BACKUP_DIR!).sort();
    const unchanged = async (dryRun: () => Promise<{ dryRun?: boolean }>) => {
      const before = [await databases(world), files(), await stateOf(world)];
      assert.is((await dryRun()).dryRun, true);
      assert.equal([await databases(world), files(), await stateOf(world)], before);
    };
    const dry = { 'dry-run': true };
    await unchanged(() => succeed(world, 'restore', 'latest', '--dry-run', '--yes'));
    await unchanged(() => restoreHere(world, 'latest', { ...dry, from: 's3' }));

    const older = 'app_before_20200131_020000'; // as of an earlier restore
    await world.sql(`CREATE DATABASE ${older}`, 'postgres');
    const restored = await restoreHere(world, one.id);
    assert.is(await stateOf(world), 'one');
    assert.equal(await databases(world), ['app', older, restored.kept]);
    assert.is(await stateOf(world, restored.kept!), 'two');

    await unchanged(() => restoreHere(world, undefined, { ...dry, undo: true }));
    await unchanged(() => restoreHere(world, undefined, { ...dry, finish: true }));
    for (const flags of [{ database: 'x' }, { 'no-migrate': true }, { from: 's3' }]) {
      await refused(
        () => restoreHere(world, undefined, { undo: true, ...flags }),
        2,
        /--undo and --finish can't be combined with --/,
      );
    }
    const both = { undo: true, finish: true };
    await refused(() => restoreHere(world, undefined, both), 2, /give either a backup, --undo or --finish/);
    failed(await world.run('restore', ['--undo']), 2, /no terminal to confirm this on/, /--yes/);

    const undone = await succeed(world, 'restore', '--undo', '--yes');
    assert.is(undone.restored, restored.kept);
    assert.equal([await stateOf(world), await stateOf(world, undone.kept)], ['two', 'one']);
    const redone = await restoreHere(world, undefined, { undo: true });
    assert.is(redone.restored, undone.kept);
    assert.equal([await stateOf(world), await stateOf(world, redone.kept!)], ['one', 'two']);

    // A database that is gone altogether is what --undo is for, too.
    await world.sql('DROP DATABASE app', 'postgres');
    const back = await restoreHere(world, undefined, { undo: true });
    assert.equal([back.restored, back.kept], [redone.kept, null]);
    assert.is(await stateOf(world), 'two');
    await world.sql('CREATE DATABASE app_before_20200131_020001', 'postgres');
    const { dropped } = await succeed(world, 'restore', '--finish', '--yes');
    assert.equal(dropped, ['app_before_20200131_020001', older]);
    assert.equal(await databases(world), ['app']);
  }));

test('the servers stop', stop);

test.run();
