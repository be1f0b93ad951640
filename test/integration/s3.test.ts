import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  answers,
  cutsRequest,
  type Fault,
  hangs,
  loses,
  losesMetadata,
  type Seen,
  startFaultProxy,
} from '../support/fault-proxy.ts';
import { checkHere, makeBackup } from '../support/in-process.ts';
import { assertNoSecrets } from '../support/live.ts';
import { plant, store } from '../support/old-backups.ts';
import { createS3World, first, idOf, isData, keysOf, PASSWORD, sha256 } from '../support/s3-world.ts';
import { fileOf } from '../support/store.ts';

const { world, proxy, fresh, backup, stop } = await createS3World();

test('the copy: artifact, globals, then the manifest, with metadata, class and encryption', async () => {
  const env = fresh({ S3_SSE: 'AES256' });
  const done = await backup(env, '--json');
  assert.is(done.code, 0, done.stderr);
  const { backup: manifest } = JSON.parse(done.stdout);
  const names = [`${manifest.id}.sql.gz`, `${manifest.id}.globals.sql.gz`, `${manifest.id}.json`];
  assert.match(manifest.id, /^neurmatic_production_\d{8}_\d{6}$/);
  assert.equal(keysOf(world, env), names.map(name => `${env.S3_PREFIX}/${name}`).sort());
  const puts = proxy.seen.filter(isData);
  assert.equal(
    puts.map(({ key }) => key),
    names.map(name => `${env.S3_PREFIX}/${name}`),
  );
  for (const [index, { key, headers }] of puts.entries()) {
    const local = join(env.BACKUP_DIR!, names[index]!);
    assert.is(sha256(fileOf(world, key)), sha256(local));
    assert.is(headers['x-amz-meta-sha256'], sha256(local));
    assert.is(headers['x-amz-meta-size'], String(readFileSync(local).length));
    assert.is(headers['x-amz-meta-timestamp'], manifest.snapshotAt);
    assert.is(headers['x-amz-meta-database'], 'app');
    assert.match(String(headers['x-amz-meta-version']), /^\d+\.\d+$/);
    assert.is(headers['x-amz-storage-class'], 'STANDARD_IA');
    assert.is(headers['x-amz-server-side-encryption'], 'AES256');
  }
});

/** The store recovers after some trouble: the backup is as good as any. */
const PASSING: Record<string, () => (seen: Seen) => Fault | undefined> = {
  'HTTP 500 four times': () => first(4, isData, answers(500, 'InternalError')),
  'HTTP 503 SlowDown four times': () => first(4, isData, answers(503, 'SlowDown')),
  'a connection cut in the middle of an upload': () => first(2, isData, cutsRequest(1000)),
  'HTTP 500 for what is compared afterwards': () =>
    first(3, ({ method }) => method === 'HEAD', answers(500, 'InternalError')),
};

for (const [what, trouble] of Object.entries(PASSING)) {
  test(`trouble that passes: ${what}`, async () => {
    const env = fresh();
    proxy.fault = trouble();
    await makeBackup(world, {}, env);
    assert.is(keysOf(world, env).length, 3);
    for (const key of keysOf(world, env))
      assert.is(sha256(fileOf(world, key)), sha256(join(env.BACKUP_DIR!, key.split('/').at(-1)!)));
  });
}

test('a store that is away before the dump and back after it gets its copy', async () => {
  const env = fresh();
  proxy.fault = ({ key }) => (key.endsWith('.write-probe') ? answers(403, 'AccessDenied') : undefined);
  const done = await backup(env);
  assert.is(done.code, 0, done.stderr);
  assert.match(done.stderr, /AccessDenied[\s\S]*The backup is made here all the same/);
  assert.is(keysOf(world, env).length, 3);
});

interface Lasting {
  fault?: (seen: Seen) => Fault | undefined;
  env?: Record<string, string>;
  says: RegExp;
}

const LASTING: Record<string, Lasting> = {
  'connections refused': {
    env: { S3_ENDPOINT: 'http://127.0.0.1:1' },
    says: /ECONNREFUSED.*\n.*S3_ENDPOINT/,
  },
  'HTTP 403': {
    fault: seen => (isData(seen) ? answers(403, 'AccessDenied') : undefined),
    says: /AccessDenied.*403.*\n.*AWS_ACCESS_KEY_ID/,
  },
  'HTTP 500 for ever': {
    fault: seen => (isData(seen) ? answers(500, 'InternalError') : undefined),
    says: /InternalError.*500.*\n.*try again later/,
  },
  'the manifest alone refused': {
    fault: seen => (isData(seen) && seen.key.endsWith('.json') ? answers(403, 'AccessDenied') : undefined),
    says: /could not upload to s3:\/\/bucket\/.*\.json/,
  },
  'every upload cut': {
    fault: seen => (isData(seen) ? cutsRequest(1000) : undefined),
    says: /could not upload to s3:\/\/bucket\/.*(ECONNRESET|EPIPE|hang up)/,
  },
  'a bucket that does not exist': {
    env: { S3_BUCKET: 'no-such-bucket' },
    says: /NoSuchBucket.*404.*\n.*S3_BUCKET/,
  },
  'a clock that the store refuses': {
    fault: seen => (isData(seen) ? answers(403, 'RequestTimeTooSkewed') : undefined),
    says: /RequestTimeTooSkewed.*\n.*timedatectl/,
  },
  'a store that drops the object': {
    fault: seen => (isData(seen) && !seen.key.endsWith('.json') ? loses() : undefined),
    says: /is not what was uploaded: it is not there/,
  },
  'a store that drops the metadata': {
    fault: ({ method }) => (method === 'HEAD' ? losesMetadata() : undefined),
    says: /is not what was uploaded: .*SHA-256/,
  },
  // One that answers nothing at all: test/long/integration/s3.test.ts.
  'a store that never answers an upload': {
    env: { S3_TIMEOUT: '1s' },
    fault: seen => (isData(seen) ? hangs() : undefined),
    says: /no answer|timed out|TimeoutError/i,
  },
};

/** One good backup, of which the backups of the cases are made. */
const seed = fresh();
const { id: seedId } = await makeBackup(world, {}, seed);

/**
 * A backup while the store fails. There are two good ones, of which retention would delete the old one, were it not
 * held. The case has directories, a prefix and a way to the store of its own, so that all cases can go on at once.
 */
async function backUpInTrouble({ fault, env: extra }: Lasting) {
  const own = await startFaultProxy(world.s3.endpoint, () => {});
  const good = fresh({ S3_ENDPOINT: own.endpoint, BACKUP_MIN_KEEP: '1' });
  const recent = await plant(seed.BACKUP_DIR!, seedId, {}, good.BACKUP_DIR!);
  const old = await plant(seed.BACKUP_DIR!, seedId, { days: 400 }, good.BACKUP_DIR!);
  for (const manifest of [recent, old]) await store(world, good, manifest);
  const before = keysOf(world, good);
  if (fault) own.fault = fault;
  const env = { ...good, ...extra };
  const done = await backup(env, '--json').finally(own.stop);
  return { env, good, recent, old, before, done };
}

type InTrouble = Awaited<ReturnType<typeof backUpInTrouble>>;
/** All cases side by side, while the tests above run: most of them wait between the attempts of a request. */
const runs: Record<string, Promise<InTrouble>> = Object.fromEntries(
  Object.entries(LASTING).map(([what, trouble]) => [what, backUpInTrouble(trouble)]),
);
for (const run of Object.values(runs)) run.catch(() => {}); // its test hears of it

for (const [what, { says }] of Object.entries(LASTING)) {
  test(`the store fails: ${what}`, async () => {
    const { env, good, recent, old, before, done } = await runs[what]!;
    assert.is(done.code, 4, done.stderr);
    assert.match(done.stderr, says);
    assert.match(done.stderr, /nothing was deleted: the newest backup is not off-site/);
    assert.is(JSON.parse(done.stdout).offsite, 'FAILED');
    assert.is(before.length, 6);
    assert.equal(keysOf(world, good), before, 'the store is as it was');
    const names = readdirSync(env.BACKUP_DIR!);
    for (const id of [old.id, recent.id, idOf(done)]) {
      for (const end of ['.sql.gz', '.globals.sql.gz', '.json'])
        assert.ok(names.includes(id + end), id + end);
    }
    assert.is(await checkHere(world, idOf(done), env, 'local'), idOf(done));
    assertNoSecrets(done, env, [PASSWORD, 'S3RVER']);
  });
}

test('once the store is well again, the old backup is deleted, and only that', async () => {
  const { good, old } = await runs['HTTP 403']!;
  const before = keysOf(world, good).filter(key => !key.includes(old.id));
  const { id } = await makeBackup(world, {}, { ...good, S3_ENDPOINT: world.s3.endpoint });
  assert.ok(keysOf(world, good).some(key => key.includes(id)));
  assert.equal(
    keysOf(world, good).filter(key => !key.includes(id)),
    before,
  );
});

test('a clock 20 minutes off: the copy is made by the store’s time, and it is said', async () => {
  const env = fresh({ NODE_OPTIONS: `--import=${join(import.meta.dirname, '../support/clock-off.ts')}` });
  const done = await backup(env, '--json');
  assert.is(done.code, 0, done.stderr);
  assert.match(done.stderr, /clock is (20 min|19 min 59 s).* behind the store’s: .*timedatectl/);
  const [refused, accepted] = proxy.seen.filter(({ method }) => method === 'PUT');
  assert.is(refused!.key, accepted!.key, 'the store refused the first request');
  assert.is(keysOf(world, env).length, 3);
  const rightAgain = await backup({ ...env, NODE_OPTIONS: '' });
  assert.is(rightAgain.code, 0, rightAgain.stderr);
  assert.not.match(rightAgain.stderr, /clock/);
});

test('the servers stop', stop);

test.run();
