import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { manifestName } from '../../scripts/lib/backup/manifest.ts';
import { copyOffsite, tryStore } from '../../scripts/lib/backup/offsite-copy.ts';
import { openStore } from '../../scripts/lib/s3/open-store.ts';
import { configOf, plant, store } from '../support/backup/old-backups.ts';
import { here } from '../support/core/here.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { answers, cutsRequest, type Seen } from '../support/s3/fault-proxy.ts';
import { assertChecksums, PART_FAULTS } from '../support/s3/part-faults.ts';
import { createBigDatabase, createS3World, first, keysOf } from '../support/s3/s3-world.ts';
import { unfinishedUploads } from '../support/s3/store.ts';

const s3World = await createS3World();
const { world, proxy, fresh, stop } = s3World;
await createBigDatabase(world);

/** Made once, and copied off-site in every way: it is the copy that can go wrong. */
const big = fresh({ POSTGRES_DB: 'big' });
const { id, offsite } = await makeBackup(world, { format: 'custom', upload: false }, big);
assert.is(offsite, false, 'no later run sends what was not to be sent');

/** The environment of one test, with that backup in it. */
async function withBackup(extra: Record<string, string> = {}) {
  const env = fresh({ POSTGRES_DB: 'big', ...extra });
  return { env, manifest: await plant(big.BACKUP_DIR!, id, {}, env.BACKUP_DIR) };
}

/** Required: test/long/integration/s3-parts.test.ts. */
test('checksums supported: up and down again, in one part and in several', () =>
  assertChecksums(s3World, big, id, 'supported'));

/** One that only shows it by its refusal: test/long/integration/s3-parts.test.ts. */
test('checksums required: each object and part has one all the same in a bucket with Object Lock', async () => {
  const { env, manifest } = await withBackup({ S3_CHECKSUMS: 'required' });
  const locked =
    '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>';
  proxy.fault = ({ query }) =>
    query.has('object-lock')
      ? ({ outgoing }) => {
          outgoing.end(locked);
        }
      : undefined;
  const config = configOf(world, env);
  const done = await here(world, env, async () => {
    const store = await openStore(config.s3!);
    return copyOffsite(config, store, manifest, await tryStore(store));
  });
  assert.is(done.value, undefined, done.stderr + done.error);
  const begun = proxy.seen.find(({ method, query }) => method === 'POST' && query.has('uploads'))!;
  assert.is(begun.headers['x-amz-checksum-algorithm'], 'CRC32');
  const puts = proxy.seen.filter(({ method }) => method === 'PUT');
  const nameOf = ({ key, query }: Seen) =>
    [key.split('/').at(-1), query.get('partNumber') ?? ''].join(' ').trim();
  const { artifact, globals } = manifest;
  const all = ['.write-probe', `${artifact.name} 1`, `${artifact.name} 2`, globals.name, manifestName(id)];
  assert.equal(puts.map(nameOf).sort(), all.sort());
  assert.ok(puts.every(({ headers }) => headers['x-amz-checksum-crc32']));
});

test('several parts: one cut and one refused are sent again', async () => {
  const { env, manifest } = await withBackup();
  const part = (number: string) => (seen: Seen) => seen.query.get('partNumber') === number;
  const faults = [
    first(2, part('1'), answers(500, 'InternalError')),
    first(2, part('2'), cutsRequest(1_000_000)),
  ];
  proxy.fault = seen => faults.map(fault => fault(seen)).find(Boolean);
  await store(world, env, manifest);
  assert.is(proxy.seen.filter(({ query }) => query.get('partNumber') === '2').length, 3);
  assert.is(keysOf(world, env).length, 3);
  assert.is(unfinishedUploads(world), 0);
});

/** When another request is refused, at SIGTERM, of backup.ts as a process: test/long/integration/s3-parts.test.ts. */
for (const what of ['it can’t be completed'] as const) {
  test(`several parts: ${what}: none is left behind`, async () => {
    const { env, manifest } = await withBackup();
    proxy.fault = PART_FAULTS[what];
    const config = configOf(world, env);
    const done = await here(world, env, async () =>
      copyOffsite(config, await openStore(config.s3!, 0.3), manifest),
    );
    assert.is(done.value?.exitCode, 4, done.stderr + done.error);
    assert.match(done.stderr, /could not upload to s3:/);
    assert.ok(proxy.seen.some(({ query }) => query.has('partNumber')));
    assert.equal(keysOf(world, env), []);
    assert.is(unfinishedUploads(world), 0);
    assert.ok(existsSync(join(env.BACKUP_DIR!, manifestName(id))));
  });
}

test('the servers stop', stop);

test.run();
