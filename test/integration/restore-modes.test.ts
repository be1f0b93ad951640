import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { begin, change, failed, stateOf } from '../support/core/expect.ts';
import { captured } from '../support/core/here.ts';
import { checkHere, finishHere, makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { recordPrograms } from '../support/core/recorded-programs.ts';
import { createTurns } from '../support/core/turns.ts';
import { databases, program } from '../support/postgres/compare.ts';

const { inTurn, stop } = await createTurns();

const MIGRATE =
  'psql "$DATABASE_URL" -qXc "UPDATE state SET name = name || \', migrated\' RETURNING current_database()"';

/** More of each, a restore with --database, and a migration that fails: test/long/integration/restore-modes.test.ts. */
test('migrations, a plain dump as pg_dump | gzip makes it, --undo, undo of an undo, --finish; --dry-run changes nothing', () =>
  inTurn(async world => {
    await begin(world, 'one');
    await refused(() => restoreHere(world, 'latest'), 3, /there is no verified backup of app/);
    await refused(() => finishHere(world), 1, /there is no kept database of app/);
    await refused(() => restoreHere(world, undefined, { undo: true }), 1, /there is no kept database of app/);
    const one = await makeBackup(world, { format: 'custom' });
    const dump = (name: string, ...args: string[]) =>
      program(
        world,
        'bash',
        '-c',
        '"$@" | gzip > "$0"',
        join(world.directory, name),
        'pg_dump',
        'app',
        ...args,
      );
    await dump('clean.sql.gz', '--clean', '--if-exists');
    await dump('create.sql.gz', '--create', '--clean', '--if-exists');
    await change(world, 'two');

    const files = () => readdirSync(world.env.BACKUP_DIR!).sort();
    const look = async () => [await databases(world), files(), await stateOf(world)];
    const unchanged = async (dryRun: () => Promise<{ dryRun?: boolean }>) => {
      const before = await look();
      assert.is((await dryRun()).dryRun, true);
      assert.equal(await look(), before);
    };
    const dry = { 'dry-run': true };
    await unchanged(() => restoreHere(world, 'latest', { ...dry, from: 's3' }));
    world.env.S3_BUCKET = ''; // what is off-site is no part of the rest

    for (const database of ['', 'ü'.repeat(32), 'two\nlines'])
      await refused(() => restoreHere(world, 'latest', { database }), 2, /--database takes a name/);
    const taken = () => restoreHere(world, 'latest', { database: 'app' });
    await refused(taken, 2, /database app already exists/);
    assert.is(await checkHere(world, 'latest'), one.id);

    const older = 'app_before_20200131_020000'; // as of an earlier restore
    await world.sql(`CREATE DATABASE ${older}`, 'postgres');
    const file = (name: string) => join(world.directory, name);
    const create = () => restoreHere(world, file('create.sql.gz'));
    await refused(create, 2, /creates or connects to databases\n.*pg_dump --create/);
    const { PATH = '' } = world.env;
    const recorder = recordPrograms(world.directory, PATH);
    world.env.PATH = recorder.path;
    const done = await captured(() =>
      restoreHere(world, file('clean.sql.gz'), {}, { MIGRATE_COMMAND: MIGRATE }),
    );
    world.env.PATH = PATH;
    const starts = recorder.starts().filter(([name]) => name === 'psql');
    assert.ok(
      starts.length > 0 && starts.length <= 45,
      `each start takes longer than its answer:\n${starts.join('\n')}`,
    );
    const restored = done.value!;
    assert.ok(restored?.kept, done.error);
    assert.match(done.stderr, /no manifest/);
    assert.match(done.stderr, /not compared, because there is no manifest/);
    assert.is(restored.dataAgeSeconds, null);
    assert.is(await stateOf(world), 'one, migrated');
    assert.equal(await databases(world), ['app', older, restored.kept]);
    assert.is(await stateOf(world, restored.kept), 'two');

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

    const undone = await restoreHere(world, undefined, { undo: true });
    assert.is(undone.restored, restored.kept);
    assert.equal([await stateOf(world), await stateOf(world, undone.kept!)], ['two', 'one, migrated']);

    // An undo of the undo: a database that is gone altogether is what --undo is for, too.
    await world.sql('DROP DATABASE app', 'postgres');
    const back = await restoreHere(world, undefined, { undo: true });
    assert.equal([back.restored, back.kept], [undone.kept, null]);
    assert.is(await stateOf(world), 'one, migrated');
    await world.sql('CREATE DATABASE app_before_20200131_020001', 'postgres');
    const { dropped } = await finishHere(world);
    assert.equal(dropped, ['app_before_20200131_020001', older]);
    assert.equal(await databases(world), ['app']);
  }));

test('the servers stop', stop);

test.run();
