/** Cases of which one format is enough on every run, and all are tried in the long suite. */
import * as assert from 'uvu/assert';
import type { Format } from '../../scripts/lib/manifest.ts';
import { contentOf, databases, propertiesOf } from './compare.ts';
import { makeBackup, restoreHere } from './in-process.ts';
import type { World } from './world.ts';
import { startWriters } from './writers.ts';

/** A database of another encoding, with names that only it can spell, comes back in each format. */
export async function latin1(world: World, formats: Format[]): Promise<void> {
  const { database } = world;
  await world.sql(`DROP DATABASE ${database}`, 'postgres');
  await world.sql(
    `CREATE DATABASE ${database} TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'`,
    'postgres',
  );
  await world.sql(`CREATE TABLE U&"Caf\\00E9" AS SELECT U&'cr\\00E8me br\\00FBl\\00E9e' AS U&"d\\00EEner"`);
  const before = [await contentOf(world), await propertiesOf(world)];
  for (const format of formats) {
    const backup = await makeBackup(world, { format, upload: false });
    assert.equal(backup.tables, [{ schema: 'public', name: 'Café', rows: 1 }]);
    await world.sql(`UPDATE U&"Caf\\00E9" SET U&"d\\00EEner" = ''`);
    await restoreHere(world, backup.id);
    assert.equal([await contentOf(world), await propertiesOf(world)], before);
  }
}

/** The manifest counts exactly what was dumped while clients write. */
export async function countsWhileWriting(world: World, formats: Format[]): Promise<void> {
  await world.sql(
    'CREATE TABLE left_side (id text PRIMARY KEY); CREATE TABLE right_side (id text PRIMARY KEY)',
  );
  for (const format of formats) {
    const writers = startWriters(
      world,
      { holding: 3, reconnecting: 1 },
      id =>
        `WITH l AS (INSERT INTO left_side VALUES ('${format}${id}')) INSERT INTO right_side VALUES ('${format}${id}')`,
    );
    try {
      await writers.acknowledge(30);
      const backup = await makeBackup(world, { format, upload: false });
      await writers.acknowledge(30);
      await writers.stop();
      const [left, right] = backup.tables;
      assert.equal([left!.name, right!.name], ['left_side', 'right_side']);
      assert.is(left!.rows, right!.rows, 'both sides are of one moment');
      assert.ok(left!.rows >= 30);
      const target = `fished_${format}`;
      await restoreHere(world, backup.id, { database: target });
      const [found] = await world.rows<{ left: number; right: number }>(
        'SELECT (SELECT count(*) FROM left_side) AS left, (SELECT count(*) FROM right_side) AS right',
        target,
      );
      assert.equal(found, { left: left!.rows, right: right!.rows });
      const [live] = await world.rows<{ rows: number }>('SELECT count(*) AS rows FROM left_side');
      assert.ok(live!.rows >= left!.rows + 30, 'clients went on writing');
      assert.equal(writers.failures, []);
    } finally {
      await writers.stop();
    }
  }
  assert.equal(await databases(world), ['app', ...formats.map(format => `fished_${format}`).sort()]);
}
