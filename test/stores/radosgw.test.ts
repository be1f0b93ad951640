/** Backup, list, verify, restore, drill and retention with Ceph's S3 gateway as the store. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { copyOffsite } from '../../scripts/lib/backup/offsite-copy.ts';
import { openStore } from '../../scripts/lib/s3/open-store.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { backUpHere, here } from '../support/core/here.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { createWorld, until } from '../support/core/world.ts';
import { answers, hangs, startFaultProxy } from '../support/s3/fault-proxy.ts';
import { startRadosgw } from '../support/s3/radosgw.ts';
import { createBigDatabase } from '../support/s3/s3-world.ts';

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
await createBigDatabase(world);

const s3 = gateway.client(gateway.owner);
const proxy = await startFaultProxy(gateway.endpoint, () => {});

/** The keys of all uploads that are neither completed nor aborted. */
const unfinished = async () =>
  ((await s3.listMultipartUploads({ Bucket: 'bucket' })).Uploads ?? []).map(({ Key }) => Key!);

/** An environment with directories and a prefix of its own. */
let tests = 0;
function fresh(extra: Record<string, string> = {}): Record<string, string> {
  const own = join(world.directory, `test-${++tests}`);
  return {
    S3_PREFIX: `test-${tests}`,
    BACKUP_DIR: join(own, 'backups'),
    LOG_DIR: own,
    STATE_DIR: own,
    ...extra,
  };
}

const good = async (script: string, args: string[] = [], env: Record<string, string> = {}) => {
  const done = await world.run(script, args, env);
  assert.is(done.code, 0, done.stderr);
  return done;
};

for (const format of ['plain', 'custom'])
  test(`backup, list, verify, drill and restore: ${format}`, async () => {
    const { backup } = JSON.parse((await good('backup', ['--format', format, '--json'])).stdout);
    const [newest] = JSON.parse((await good('list-backups', ['--json'])).stdout);
    assert.is(newest.id, backup.id);
    assert.is(newest.s3, newest.local);
    await good('verify-backup', [backup.id, '--from', 's3']);
    await good('drill');
    await world.sql('DELETE FROM t');
    await good('restore', ['latest', '--from', 's3', '--yes']);
    assert.equal(await world.rows('SELECT count(*) FROM t'), [{ count: 1000 }]);
    await good('restore', ['--finish', '--yes']);
  });

test('the next backup aborts the upload that a killed run left, and no other', async () => {
  const env = fresh({ POSTGRES_DB: 'big' });
  const isPart = ({ query }: { query: URLSearchParams }) => query.get('partNumber') === '2';
  proxy.fault = seen => (isPart(seen) ? hangs() : undefined);
  const run = world.start('backup', ['--format', 'custom'], { ...env, S3_ENDPOINT: proxy.endpoint });
  await until('the second part is on its way', () => proxy.seen.some(isPart));
  run.child.kill('SIGKILL');
  await run.ended;
  const others = [
    `${env.S3_PREFIX}/neurmatic_staging_20200101_000000.dump.zst`,
    `${env.S3_PREFIX}/neurmatic_production_20990101_000000.dump.zst`, // not here: perhaps of another server
    `${env.S3_PREFIX}/neurmatic_production_notes.txt`,
    `else/neurmatic_production_20200101_000000.dump.zst`,
  ];
  for (const Key of others) await s3.createMultipartUpload({ Bucket: 'bucket', Key });
  const [left] = (await unfinished()).filter(key => !others.includes(key));
  const done = await backUpHere(world, { ...env, POSTGRES_DB: 'app' });
  assert.is(done.code, 0, done.stderr + done.error);
  const name = left!.split('/')[1]!;
  assert.match(done.stderr, `aborted 1 upload that an earlier run did not finish: ${name}`);
  assert.equal(await unfinished(), others.sort());
});

test('a key that may not list uploads: it is said, and the backup counts', async () => {
  const env = fresh();
  proxy.fault = ({ query }) => (query.has('uploads') ? answers(403, 'AccessDenied') : undefined);
  const done = await backUpHere(world, { ...env, S3_ENDPOINT: proxy.endpoint });
  assert.is(done.code, 0, done.stderr + done.error);
  assert.match(done.stderr, /unfinished uploads .*could not list unfinished uploads of .*AccessDenied/);
});

test('a store that restarts for ten seconds in the middle of an upload gets its copy', async () => {
  const env = fresh({ POSTGRES_DB: 'big' });
  const manifest = await makeBackup(world, { format: 'custom', upload: false }, env);
  const { promise, resolve } = Promise.withResolvers<void>();
  proxy.fault = ({ query }) => {
    if (query.get('partNumber') === '2') resolve();
    return undefined;
  };
  const copy = here(world, env, async () => {
    const config = configOf(world, { ...env, S3_ENDPOINT: proxy.endpoint });
    return copyOffsite(config, await openStore(config.s3!), manifest);
  });
  await promise;
  await gateway.halt();
  await new Promise(restarted => setTimeout(restarted, 10_000));
  await gateway.resume();
  const done = await copy;
  assert.is(done.value, undefined, done.stderr + done.error);
  await good('verify-backup', [manifest.id, '--from', 's3'], env);
  assert.not.ok((await unfinished()).some(key => key.startsWith(`${env.S3_PREFIX}/`)));
});

test('the servers stop', async () => {
  await Promise.all([proxy.stop(), gateway.stop(), world.stop()]);
});

test.run();
