import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkHere, makeBackup } from '../../support/core/in-process.ts';
import { until } from '../../support/core/world.ts';
import { answers, type Fault, hangs, type Seen } from '../../support/s3/fault-proxy.ts';
import { assertChecksums, PART_FAULTS } from '../../support/s3/part-faults.ts';
import { createBigDatabase, createS3World, idOf, isData, keysOf } from '../../support/s3/s3-world.ts';
import { storedParts, unfinishedUploads } from '../../support/s3/store.ts';

const s3World = await createS3World();
const { world, proxy, fresh, backup, stop } = s3World;
await createBigDatabase(world);

for (const mode of ['supported', 'required']) {
  test(`checksums ${mode}: up and down again, an artifact in one part`, async () => {
    const env = fresh({ S3_CHECKSUMS: mode });
    const { id } = await makeBackup(world, { format: 'custom' }, env);
    assert.is(await checkHere(world, 'latest', env, 's3'), id);
    const summed = proxy.seen
      .filter(isData)
      .map(({ headers }) =>
        Object.keys(headers).some(name => /^x-amz-(sdk-checksum|checksum|trailer)/.test(name)),
      );
    assert.is(summed.length, 3);
    assert.ok(summed.every(is => is === (mode === 'supported')));
  });
}

for (const mode of ['supported', 'required'] as const)
  test(`checksums ${mode}: up and down again, in one part and in several`, async () => {
    const big = fresh({ POSTGRES_DB: 'big' });
    const { id } = await makeBackup(world, { format: 'custom', upload: false }, big);
    await assertChecksums(s3World, big, id, mode);
  });

test('checksums required: a bucket that refuses what has none gets one with each object', async () => {
  const env = fresh({ S3_CHECKSUMS: 'required' });
  proxy.fault = ({ query, method, headers }) => {
    if (query.has('object-lock')) return answers(403, 'AccessDenied'); // the key may not ask
    return method === 'PUT' && !headers['x-amz-checksum-crc32'] ? answers(400, 'InvalidRequest') : undefined;
  };
  await makeBackup(world, {}, env);
  const puts = proxy.seen.filter(({ method }) => method === 'PUT');
  const bare = puts.filter(({ headers }) => !headers['x-amz-checksum-crc32']);
  assert.equal(bare, puts.slice(0, 1), 'no more than the probe that finds it out');
  assert.is(puts.length, 5);
  assert.is(keysOf(world, env).length, 3);
});

const PARTS: Record<string, (seen: Seen) => Fault | undefined> = {
  'both are refused': seen => (seen.query.has('partNumber') ? answers(403, 'AccessDenied') : undefined),
  ...PART_FAULTS,
};

for (const [what, fault] of Object.entries(PARTS)) {
  test(`several parts: ${what}: none is left behind`, async () => {
    const env = fresh({ POSTGRES_DB: 'big' });
    proxy.fault = fault;
    const done = await backup(env, '--format', 'custom', '--json');
    assert.is(done.code, 4, done.stderr);
    assert.ok(proxy.seen.some(({ query }) => query.has('partNumber')));
    assert.equal(keysOf(world, env), []);
    assert.is(unfinishedUploads(world), 0);
    assert.ok(existsSync(join(env.BACKUP_DIR!, `${idOf(done)}.json`)));
  });
}

for (const database of ['app', 'big'])
  test(`SIGTERM when the artifact of ${database} is there and the manifest is not leaves nothing in the store`, async () => {
    const env = fresh({ POSTGRES_DB: database });
    const { promise, resolve } = Promise.withResolvers<void>();
    proxy.fault = seen => {
      if (!isData(seen) || !seen.key.endsWith('.json')) return undefined;
      resolve();
      return hangs();
    };
    const run = world.start('backup', ['--format', 'custom'], env);
    await promise;
    run.child.kill('SIGTERM');
    const done = await run.ended;
    assert.is(done.code, 143, done.stderr);
    assert.equal(keysOf(world, env), []);
    assert.is(unfinishedUploads(world), 0);
  });

test('SIGTERM in the middle of the parts leaves nothing in the store', async () => {
  const env = fresh({ POSTGRES_DB: 'big' });
  const slow = ({ query }: Seen) => query.get('partNumber') === '2';
  proxy.fault = seen => (slow(seen) ? hangs() : undefined);
  const run = world.start('backup', ['--format', 'custom'], env);
  await until('the upload has come so far', () => proxy.seen.some(slow) && storedParts(world) === 1, 60);
  run.child.kill('SIGTERM');
  const done = await run.ended;
  assert.is(done.code, 143, done.stderr);
  assert.equal(keysOf(world, env), []);
  assert.is(unfinishedUploads(world), 0);
});

test('the servers stop', stop);

test.run();
