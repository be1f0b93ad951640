/** A backup that is empty, or nearly so, is whole too: it does not replace a full database unasked. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { planRestore, restoreData } from '../../../scripts/lib/deploy/rollback-database.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { captured } from '../../support/core/here.ts';
import { makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import type { World } from '../../support/core/world.ts';
import { databases } from '../../support/postgres/compare.ts';
import { writeDump } from '../../support/restore/plain-dumps.ts';

const { inTurn, stop } = await createTurns();

const fill = (world: World, rows: number) =>
  world.sql(`CREATE TABLE IF NOT EXISTS t (i int); INSERT INTO t SELECT generate_series(1, ${rows})`);

const rowsOf = async (world: World) => (await world.rows('SELECT FROM t')).length;

test('a dump without a manifest: after it is loaded, before the swap', () =>
  inTurn(async world => {
    await fill(world, 1000);
    for (const [name, statements, rows] of [
      ['empty.sql.gz', '', 0],
      ['tables.sql.gz', 'CREATE TABLE t (i int);', 0],
      ['few.sql.gz', 'CREATE TABLE t AS SELECT generate_series(1, 99) AS i;', 99],
    ] as const) {
      const file = writeDump(world, name, statements);
      const why = new RegExp(`${name} has ${rows} rows, and database app, which it replaces, has 1,000\\n`);
      await refused(() => restoreHere(world, file), 2, why, /database is unchanged.*--allow-small/);
      assert.is(await rowsOf(world), 1000);
      assert.equal(await databases(world), ['app']);
      await restoreHere(world, file, { database: `beside_${rows}_${name.length}` });
      await world.sql(`DROP DATABASE beside_${rows}_${name.length}`, 'postgres');
    }
    const enough = writeDump(
      world,
      'enough.sql.gz',
      'CREATE TABLE t AS SELECT generate_series(1, 100) AS i;',
    );
    await restoreHere(world, enough);
    assert.is(await rowsOf(world), 100);
  }));

test('a backup with a manifest: before anything changes', () =>
  inTurn(async world => {
    await fill(world, 5);
    const { id } = await makeBackup(world, { upload: false });
    await fill(world, 995);
    const why = new RegExp(`${id} has 5 rows, and database app, which it replaces, has 1,000\\n`);
    const { code, error, stderr } = await captured(() => restoreHere(world, id));
    assert.is(code, 2, stderr);
    assert.match(`${error}\n`, why);
    assert.not.match(stderr, /from here on, things change/);
    await world.sql('ANALYZE');
    await refused(() => restoreHere(world, id), 2, why, /--allow-small/);
    const dry = await captured(() => restoreHere(world, id, { 'dry-run': true }));
    assert.match(dry.stderr, why);
    assert.is(dry.code, 0, dry.error);

    // An estimate that is out of date is not believed.
    await world.sql('DELETE FROM t WHERE i > 3');
    const before = await rowsOf(world);
    assert.ok(before < 50, `${before}`);
    await restoreHere(world, id);
    assert.is(await rowsOf(world), 5);
    await fill(world, 995);
    await restoreHere(world, id, { 'allow-small': true });
    assert.is(await rowsOf(world), 5);
  }));

test('a rollback takes a small and foreign backup with flags', () =>
  inTurn(async world => {
    await fill(world, 5);
    const { artifact } = await makeBackup(world, { upload: false });
    await fill(world, 995);
    const staging = configOf(world, { DEPLOY_ENV: 'staging' });
    const path = join(staging.backupDir, artifact.name);
    const flags = { yes: true, allowSmall: true, allowForeign: true };
    await restoreData(staging, (await planRestore(staging, path, flags)).data);
    assert.is(await rowsOf(world), 5);
  }));

test('the servers stop', stop);

test.run();
