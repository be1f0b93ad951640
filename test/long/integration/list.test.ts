import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
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
    await restoreHere(world, join(other, planted.artifact.name), { database: 'beside' });
  }));

test('the servers stop', stop);

test.run();
