/** Backup, list, verify, restore, drill and retention with Ceph's S3 gateway as the store. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createWorld } from '../support/core/world.ts';
import { startRadosgw } from '../support/s3/radosgw.ts';

const gateway = await startRadosgw();
const world = await createWorld();
Object.assign(world.env, {
  S3_ENDPOINT: gateway.endpoint,
  S3_STORAGE_CLASS: 'STANDARD', // this store has no other class
  AWS_ACCESS_KEY_ID: gateway.owner.accessKeyId,
  AWS_SECRET_ACCESS_KEY: gateway.owner.secretAccessKey,
});
await gateway.createBucket(gateway.owner, 'bucket');
await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i');

const good = async (script: string, ...args: string[]) => {
  const done = await world.run(script, args);
  assert.is(done.code, 0, done.stderr);
  return done;
};

for (const format of ['plain', 'custom'])
  test(`backup, list, verify, drill and restore: ${format}`, async () => {
    const { backup } = JSON.parse((await good('backup', '--format', format, '--json')).stdout);
    const [newest] = JSON.parse((await good('list-backups', '--json')).stdout);
    assert.is(newest.id, backup.id);
    assert.is(newest.s3, newest.local);
    await good('verify-backup', backup.id, '--from', 's3');
    await good('drill');
    await world.sql('DELETE FROM t');
    await good('restore', 'latest', '--from', 's3', '--yes');
    assert.equal(await world.rows('SELECT count(*) FROM t'), [{ count: 1000 }]);
    await good('restore', '--finish', '--yes');
  });

test('the servers stop', async () => {
  await Promise.all([gateway.stop(), world.stop()]);
});

test.run();
