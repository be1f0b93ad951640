/** What a key may not do, and what a bucket asks for, with Ceph's S3 gateway as the store. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dryRun } from '../../scripts/lib/backup/run-backup.ts';
import { configOf, plant, store } from '../support/backup/old-backups.ts';
import { backUpHere, here } from '../support/core/here.ts';
import { checkHere } from '../support/core/in-process.ts';
import { createWorld } from '../support/core/world.ts';
import { passes, startFaultProxy } from '../support/s3/fault-proxy.ts';
import { startRadosgw } from '../support/s3/radosgw.ts';
import { createBigDatabase } from '../support/s3/s3-world.ts';

const gateway = await startRadosgw();
const world = await createWorld();
const proxy = await startFaultProxy(gateway.endpoint, () => {});
const s3 = gateway.client(gateway.owner);
await s3.createBucket({ Bucket: 'plain' });
await s3.createBucket({ Bucket: 'versions' });
await s3.putBucketVersioning({ Bucket: 'versions', VersioningConfiguration: { Status: 'Enabled' } });
await world.sql('CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i');
await createBigDatabase(world);

let tests = 0;
/** An environment with directories and a prefix of its own. */
function fresh(extra: Record<string, string> = {}): Record<string, string> {
  const own = join(world.directory, `test-${++tests}`);
  return {
    S3_BUCKET: 'plain',
    S3_PREFIX: `test-${tests}`,
    S3_ENDPOINT: gateway.endpoint,
    S3_STORAGE_CLASS: 'STANDARD', // this store has no other class
    AWS_ACCESS_KEY_ID: gateway.owner.accessKeyId,
    AWS_SECRET_ACCESS_KEY: gateway.owner.secretAccessKey,
    BACKUP_DIR: join(own, 'backups'),
    LOG_DIR: own,
    STATE_DIR: own,
    ...extra,
  };
}

const statement = (Effect: 'Allow' | 'Deny', uid: string, Action: string[]) => ({
  Effect,
  Principal: { AWS: [`arn:aws:iam:::user/${uid}`] },
  Action,
  Resource: ['arn:aws:s3:::plain', 'arn:aws:s3:::plain/*'],
});
const [putter, nobody] = [await gateway.addUser('putter'), await gateway.addUser('nobody')];
await s3.putBucketPolicy({
  Bucket: 'plain',
  Policy: JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      statement('Allow', 'putter', ['s3:PutObject']),
      statement('Allow', 'owner', ['s3:GetObject']), // of what the other has written
      // Who has written an object may read it, unless this is denied.
      statement('Deny', 'putter', ['s3:GetObject', 's3:ListBucket', 's3:DeleteObject']),
    ],
  }),
});
const as = (user: typeof putter) => ({
  AWS_ACCESS_KEY_ID: user.accessKeyId,
  AWS_SECRET_ACCESS_KEY: user.secretAccessKey,
});

const keysOf = async ({ S3_BUCKET, S3_PREFIX }: Record<string, string>) => {
  const { Contents = [] } = await s3.listObjectsV2({ Bucket: S3_BUCKET, Prefix: `${S3_PREFIX}/` });
  return Contents.map(({ Key }) => Key!.slice(S3_PREFIX!.length + 1));
};

const drily = (env: Record<string, string>) => here(world, env, () => dryRun(configOf(world, env), 'plain'));

for (const [what, database, format] of [
  ['in one part', 'app', 'plain'],
  ['in several', 'big', 'custom'],
] as const)
  test(`a key that may only write: the whole copy follows, ${what}`, async () => {
    const env = fresh({ ...as(putter), POSTGRES_DB: database, BACKUP_FORMAT: format });
    const done = await backUpHere(world, env);
    assert.is(done.code, 0, done.stderr + done.error);
    for (const right of ['ListBucket', 'GetObject', 'DeleteObject', 'ListBucketMultipartUploads'])
      assert.match(done.stderr, new RegExp(`lacks s3:${right}: `));
    assert.match(done.warnings.join(), /retention \(s3\) did not finish: could not list/);
    const { id } = done.manifest!;
    const end = format === 'plain' ? 'sql.gz' : 'dump.zst';
    const names = [`${id}.${end}`, `${id}.globals.sql.gz`, `${id}.json`];
    assert.equal((await keysOf(env)).sort(), [...names, '.write-probe'].sort());
    const asOwner = { ...env, ...as(gateway.owner) };
    assert.is(await checkHere(world, id, asOwner, 's3'), id);
  });

test('the same where the store’s answer has no checksum: refused before anything is sent', async () => {
  const env = fresh({ ...as(putter), S3_ENDPOINT: proxy.endpoint });
  proxy.fault = ({ method }) =>
    method === 'PUT'
      ? passes(headers => {
          headers.etag = '"0123456789abcdef0123456789abcdef-1"'; // as with a key of KMS
        })
      : undefined;
  const done = await backUpHere(world, env);
  assert.is(done.code, 4, done.stderr + done.error);
  assert.match(done.stderr, /nothing shows whether a copy .* is right[\s\S]*s3:GetObject[\s\S]*Dumping/);
  assert.equal(await keysOf(env), ['.write-probe']);
});

test('a dry run names each missing right, and what can’t be known; it writes nothing', async () => {
  const all = await drily(fresh());
  assert.is(all.value?.exitCode, 0, all.error);
  assert.not.match(all.value!.text, /lacks/);
  const some = await drily(fresh(as(putter)));
  assert.is(some.value?.exitCode, 0, some.error);
  assert.match(some.value!.text, /lacks s3:ListBucket: [\s\S]*lacks s3:ListBucketMultipartUploads: /);
  assert.not.match(some.value!.text, /s3:PutObject/);
  const none = await drily(fresh(as(nobody)));
  assert.is(none.value?.exitCode, 4, none.error);
  assert.match(none.value!.text, /lacks s3:PutObject: there can be no copy/);
  const wrong = await drily(fresh({ AWS_SECRET_ACCESS_KEY: 'wrong' }));
  assert.is(wrong.value?.exitCode, 4, wrong.error);
  assert.match(wrong.value!.text, /SignatureDoesNotMatch[\s\S]*AWS_SECRET_ACCESS_KEY/);
  const missing = await drily(fresh({ S3_BUCKET: 'missing' }));
  assert.match(missing.value!.text, /NoSuchBucket[\s\S]*S3_BUCKET/);
  const { Contents = [] } = await s3.listObjectsV2({ Bucket: 'plain', Prefix: `test-${tests - 4}` });
  assert.equal(Contents, []);
});

for (const [variable, value, says] of [
  [
    'S3_STORAGE_CLASS',
    'STANDARD_IA',
    /does not take S3_STORAGE_CLASS=STANDARD_IA[\s\S]*set S3_STORAGE_CLASS=STANDARD\./,
  ],
  ['S3_SSE', 'AES256', /does not take S3_SSE=AES256[\s\S]*set S3_SSE= \(empty\)/],
] as const)
  test(`what the store refuses is named before the dump: ${variable}`, async () => {
    const env = fresh({ [variable]: value });
    const done = await backUpHere(world, env);
    assert.is(done.code, 4, done.stderr + done.error);
    const before = done.stderr.slice(0, done.stderr.indexOf('Dumping'));
    assert.match(before, says);
    assert.equal(await keysOf(env), []);
  });

test('the write probe leaves no version in a bucket that keeps them', async () => {
  const env = fresh({ S3_BUCKET: 'versions' });
  assert.is((await backUpHere(world, env)).code, 0);
  const kept = await s3.listObjectVersions({ Bucket: 'versions', Prefix: `${env.S3_PREFIX}/.write-probe` });
  assert.equal([kept.Versions ?? [], kept.DeleteMarkers ?? []], [[], []]);
});

test('a bucket that keeps versions: retention says that it only hides', async () => {
  const env = fresh({ S3_BUCKET: 'versions', BACKUP_MIN_KEEP: '1' });
  const recent = await backUpHere(world, env);
  await store(world, env, await plant(env.BACKUP_DIR!, recent.manifest!.id, { days: 400 }));
  const done = await backUpHere(world, env);
  assert.is(done.code, 0, done.stderr + done.error);
  assert.match(done.stderr, /hid neurmatic_production_\S+ \(s3\)/);
  assert.match(done.stderr, /keeps versions: 1 backup hidden by a delete marker/);
  assert.match(done.stderr, /deleted neurmatic_production_\S+ \(local\)/);
  assert.match(done.stderr, /retention \(local\): 2 backups kept, 1 deleted\n/);
  assert.match(done.stderr, /retention \(s3\): 2 backups kept, 1 hidden\n/);
});

test('the servers stop', async () => {
  await Promise.all([proxy.stop(), gateway.stop(), world.stop()]);
});

test.run();
