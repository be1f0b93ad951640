import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { plant } from '../../support/backup/old-backups.ts';
import { makeBackup, restoreHere } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';

const { inTurn, stop } = await createTurns();

test('a backup of another environment is restored as another database without being asked for', () =>
  inTurn(async world => {
    await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i');
    const { id } = await makeBackup(world, { upload: false });
    const other = join(world.directory, 'elsewhere');
    await mkdir(other);
    const planted = await plant(world.env.BACKUP_DIR!, id, { days: 1, environment: 'staging' }, other);
    const path = join(other, planted.artifact.name);
    await restoreHere(world, path, { database: 'beside' });
    const { kept } = await restoreHere(world, path, { 'allow-foreign': true });
    assert.ok(kept, 'it replaces the live database where that is asked for');
  }));

test('the servers stop', stop);

test.run();
