/** A backup that was deleted in a bucket that keeps versions is brought back, as docs/RUNBOOK.md says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Manifest } from '../../scripts/lib/backup/manifest.ts';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { plant, store } from '../support/backup/old-backups.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { createWorld, type Ended } from '../support/core/world.ts';
import { startRadosgw } from '../support/s3/radosgw.ts';

const gateway = await startRadosgw();
const world = await createWorld();
const s3 = gateway.client(gateway.owner);
await s3.createBucket({ Bucket: 'versions' });
await s3.putBucketVersioning({ Bucket: 'versions', VersioningConfiguration: { Status: 'Enabled' } });
await s3.createBucket({ Bucket: 'locked', ObjectLockEnabledForBucket: true });
await s3.putObjectLockConfiguration({
  Bucket: 'locked',
  ObjectLockConfiguration: {
    ObjectLockEnabled: 'Enabled',
    Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 1 } },
  },
});
await world.sql('CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) AS i');

let tests = 0;
type Env = Record<string, string>;
/** An environment with directories and a prefix of its own. */
function fresh(bucket: string, extra: Env = {}): Env {
  const own = join(world.directory, `test-${++tests}`);
  return {
    S3_BUCKET: bucket,
    S3_PREFIX: `test-${tests}`,
    S3_ENDPOINT: gateway.endpoint,
    S3_STORAGE_CLASS: 'STANDARD', // this store has no other class
    S3_CHECKSUMS: 'required',
    BACKUP_MIN_KEEP: '1',
    AWS_ACCESS_KEY_ID: gateway.owner.accessKeyId,
    AWS_SECRET_ACCESS_KEY: gateway.owner.secretAccessKey,
    BACKUP_DIR: join(own, 'backups'),
    LOG_DIR: own,
    STATE_DIR: own,
    ...extra,
  };
}

/** Three backups in the store, of which the first is 400 days older than the others. */
async function threeBackups(env: Env): Promise<[old: Manifest, middle: Manifest, recent: Manifest]> {
  const recent = await makeBackup(world, {}, env);
  const others = [];
  for (const days of [400, 1]) {
    const manifest = await plant(env.BACKUP_DIR!, recent.id, { days });
    await store(world, env, manifest);
    others.push(manifest);
  }
  return [others[0]!, others[1]!, recent];
}

const run = (env: Env, script: string, ...args: string[]) => world.run(script, args, env);
const good = (done: Ended) => {
  assert.is(done.code, 0, done.stderr);
  return done;
};

/** The names of all that is in the store, and how many versions and markers. */
async function seen({ S3_BUCKET, S3_PREFIX }: Env) {
  const where = { Bucket: S3_BUCKET!, Prefix: `${S3_PREFIX}/` };
  const { Contents = [] } = await s3.listObjectsV2(where);
  const { Versions = [], DeleteMarkers = [] } = await s3.listObjectVersions(where);
  const names = Contents.map(({ Key }) => Key!.slice(S3_PREFIX!.length + 1)).filter(
    name => name !== '.write-probe',
  );
  return { names, versions: Versions.length, markers: DeleteMarkers.length };
}

const page = readFileSync(join(ROOT, 'docs/RUNBOOK.md'), 'utf8').split(
  '### Bring back a deleted backup\n',
)[1]!;
const steps = /```bash\n([\s\S]*?)```/.exec(page)![1]!.trim().split('\n');

for (const bucket of ['versions', 'locked'])
  test(`the commands of the page, in a bucket with ${bucket === 'locked' ? 'Object Lock' : 'versions'}`, async () => {
    const env = fresh(bucket);
    const [old] = await threeBackups(env);
    const before = await seen(env);
    assert.is(before.names.length, 9);
    const pruned = good(await run(env, 'prune-backups', '--yes'));
    assert.match(pruned.stdout, /^deleted 1 backup, hid 1 backup by a delete marker$/m);
    const hidden = await seen(env);
    assert.equal([hidden.names.length, hidden.versions, hidden.markers], [6, before.versions, 3]);
    assert.is(steps.length, 4);
    const outputs: string[] = [];
    for (const step of steps) {
      const [, script, args] = /^\.\/scripts\/([\w-]+)\.ts ?(.*)$/.exec(step)!;
      const words = args!
        .replace(/acme_production_\d{8}_\d{6}/, old.id)
        .split(' ')
        .filter(Boolean);
      if (script === 'restore') words.push('--yes'); // there is no terminal to type the name into
      outputs.push(good(await run(env, script!, ...words)).stdout);
    }
    assert.match(outputs[0]!, new RegExp(`${old.id} .* UTC +complete\\n1 hidden backup in s3://${bucket}/`));
    assert.match(outputs[1]!, `${old.id} is in S3 again; ./scripts/restore.ts ${old.id} --from s3`);
    assert.equal(await seen(env), { ...before, markers: 0 });
    assert.match(good(await run(env, 'unhide-backup')).stdout, /^0 hidden backups in /);
    good(await run(env, 'restore', '--finish', '--yes'));
  });

test('a dry run removes no marker; what is not hidden, not whole or not an id is refused', async () => {
  const env = fresh('versions');
  const [old, middle, recent] = await threeBackups(env);
  const keyOf = (name: string) => ({ Bucket: 'versions', Key: `${env.S3_PREFIX}/${name}` });
  const hide = async (...names: string[]) => {
    for (const name of names) await s3.deleteObject(keyOf(name));
  };
  await hide(`${old.id}.json`, `${old.id}.json`, `${old.id}.json`); // as by runs that were killed
  const before = await seen(env);
  assert.ok(before.markers > 0);
  const looked = good(await run(env, 'unhide-backup', old.id, '--dry-run'));
  assert.is(looked.stdout, `would remove the delete markers of ${old.id}.json\n`);
  assert.equal(await seen(env), before);
  const [listed] = JSON.parse(good(await run(env, 'unhide-backup', '--json')).stdout);
  assert.equal([listed.id, listed.isComplete, listed.bytes], [old.id, true, old.artifact.bytes]);

  await hide(`${middle.id}.json`, middle.artifact.name);
  const { Versions } = await s3.listObjectVersions({
    Bucket: 'versions',
    Prefix: keyOf(middle.artifact.name).Key,
  });
  await s3.deleteObject({ ...keyOf(middle.artifact.name), VersionId: Versions![0]!.VersionId });
  const gone = await run(env, 'unhide-backup', middle.id);
  assert.is(gone.code, 3);
  assert.match(gone.stderr, `files of ${middle.id} are deleted in S3, not only hidden`);
  for (const id of [
    recent.id,
    'neurmatic_production_20200101_000000',
    'latest',
    old.id.replace('production', 'staging'),
  ]) {
    const refused = await run(env, 'unhide-backup', id);
    assert.is(refused.code, 3, id);
    assert.match(refused.stderr, /is not hidden by delete markers/);
  }
  good(await run(env, 'unhide-backup', old.id));
  const after = await seen(env);
  assert.ok(after.names.includes(`${old.id}.json`));
  assert.is(after.markers, 2, 'those of the other backup stay');
});

test('one that was overwritten before it was hidden is not called verified', async () => {
  const env = fresh('versions');
  const [old] = await threeBackups(env);
  const Key = `${env.S3_PREFIX}/${old.id}.json`;
  await s3.putObject({ Bucket: 'versions', Key, Body: '{}' });
  await s3.deleteObject({ Bucket: 'versions', Key });
  const done = await run(env, 'unhide-backup', old.id);
  assert.is(done.code, 3, done.stderr);
  assert.match(done.stderr, /in S3 again, but is not verified: .*damaged[\s\S]*an older version/);
});

test('a key without the right is told which one it needs', async () => {
  const env = fresh('versions');
  const [old] = await threeBackups(env);
  await s3.deleteObject({ Bucket: 'versions', Key: `${env.S3_PREFIX}/${old.id}.json` });
  const reader = await gateway.addUser('reader');
  const allow = (Action: string[]) =>
    s3.putBucketPolicy({
      Bucket: 'versions',
      Policy: JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Principal: { AWS: ['arn:aws:iam:::user/reader'] },
            Action,
            Resource: ['arn:aws:s3:::versions', 'arn:aws:s3:::versions/*'],
          },
        ],
      }),
    });
  const as = { AWS_ACCESS_KEY_ID: reader.accessKeyId, AWS_SECRET_ACCESS_KEY: reader.secretAccessKey };
  await allow(['s3:ListBucket', 's3:GetObject']);
  const blind = await run({ ...env, ...as }, 'unhide-backup');
  assert.is(blind.code, 4, blind.stderr);
  assert.match(blind.stderr, /could not list versions of .*AccessDenied[\s\S]*needs s3:ListBucketVersions/);
  await allow(['s3:ListBucket', 's3:GetObject', 's3:ListBucketVersions', 's3:DeleteObject']);
  const bound = await run({ ...env, ...as }, 'unhide-backup', old.id);
  assert.is(bound.code, 4, bound.stderr);
  assert.match(
    bound.stderr,
    /could not remove the delete marker of .*AccessDenied[\s\S]*s3:DeleteObjectVersion/,
  );
});

test('the servers stop', async () => {
  await Promise.all([gateway.stop(), world.stop()]);
});

test.run();
