import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inWorld } from '../support/world.ts';

for (const format of ['plain', 'custom']) {
  test(`${format}: backed up, destroyed, restored from S3`, () =>
    inWorld(async world => {
      await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 1000) AS i');
      const backup = await world.run('backup', ['--format', format, '--json']);
      assert.is(backup.code, 0, backup.stderr);
      const { id } = JSON.parse(backup.stdout).backup;
      await world.sql(`DROP DATABASE ${world.database}`, 'postgres');
      const restore = await world.run('restore', ['latest', '--from', 's3', '--yes', '--json']);
      assert.is(restore.code, 0, restore.stderr);
      assert.is(JSON.parse(restore.stdout).restored, id);
      const [row] = await world.rows<{ rows: number }>('SELECT count(*) AS rows FROM t');
      assert.is(row!.rows, 1000);
    }));
}

test.run();
