import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createTurns } from '../../support/core/turns.ts';

const { inTurn, stop } = await createTurns();

/** In the other format: test/integration/fidelity.test.ts, beside all that a database has of its own. In the short suite: test/integration/names.test.ts, with odd names. */
test('plain: backed up, destroyed, restored from S3', () =>
  inTurn(async world => {
    await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 1000) AS i');
    const rows = () => world.rows('SELECT i, text FROM t ORDER BY i');
    const before = await rows();
    const backup = await world.run('backup', ['--format', 'plain', '--json']);
    assert.is(backup.code, 0, backup.stderr);
    const { id } = JSON.parse(backup.stdout).backup;
    await world.sql(`DROP DATABASE ${world.database}`, 'postgres');
    const restore = await world.run('restore', ['latest', '--from', 's3', '--yes', '--json']);
    assert.is(restore.code, 0, restore.stderr);
    assert.is(JSON.parse(restore.stdout).restored, id);
    assert.is(before.length, 1000);
    assert.equal(await rows(), before);
  }));

test('the servers stop', stop);

test.run();
