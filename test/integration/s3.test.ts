import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { uploadBackup } from '../../scripts/lib/backup/offsite-copy.ts';
import { lookAtStore } from '../../scripts/lib/s3/look.ts';
import { openStore, type Store } from '../../scripts/lib/s3/open-store.ts';
import { probeStore } from '../../scripts/lib/s3/probe.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { backUpHere, here } from '../support/core/here.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { answers, cutsRequest, hangs, losesMetadata } from '../support/s3/fault-proxy.ts';
import { createGood, type Lasting, type Passing, passes } from '../support/s3/s3-failures.ts';
import { createS3World, first, isData, keysOf, sha256 } from '../support/s3/s3-world.ts';
import { fileOf } from '../support/s3/store.ts';

const s3World = await createS3World();
const { world, proxy, fresh, backup, stop } = s3World;

/** Two good backups, of which retention would delete the old one, were it not held. */
const { good, recent, old, fails } = await createGood(s3World);

/** It waits between the attempts of each request: the other tests run meanwhile. */
const refused = (() => {
  const own = fresh({ S3_ENDPOINT: 'http://127.0.0.1:1' });
  cpSync(good.BACKUP_DIR!, own.BACKUP_DIR!, { recursive: true });
  return fails({
    env: own,
    says: /ECONNREFUSED.*\n.*S3_ENDPOINT/,
    asProcess: true, // of this process, what two of them show can't be told apart
  });
})();
refused.catch(() => {}); // its test hears of it

test('the copy: artifact, globals, then the manifest, with metadata, class and encryption', async () => {
  const env = fresh({ S3_SSE: 'AES256' });
  const done = await backUpHere(world, env);
  assert.is(done.code, 0, done.stderr);
  assert.not.match(done.stderr, /clock/);
  const manifest = done.manifest!;
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

/** More of them: test/long/integration/s3.test.ts. */
const PASSING: Passing = {
  'HTTP 500 four times': () => first(4, isData, answers(500, 'InternalError')),
  'a connection cut in the middle of an upload': () => first(2, isData, cutsRequest(1000)),
  'HTTP 500 for what is compared afterwards': () =>
    first(3, ({ method }) => method === 'HEAD', answers(500, 'InternalError')),
};

for (const [what, trouble] of Object.entries(PASSING))
  test(`trouble that passes: ${what}`, () => passes(s3World, good, recent, trouble()));

test('a store that is away before the dump and back after it gets its copy', async () => {
  const env = fresh();
  proxy.fault = ({ key }) => (key.endsWith('.write-probe') ? answers(403, 'AccessDenied') : undefined);
  const done = await backUpHere(world, env);
  assert.is(done.code, 0, done.stderr);
  assert.match(done.stderr, /AccessDenied[\s\S]*The local backup is made anyway/);
  assert.match(done.stderr, /unfinished uploads .*NotImplemented/, 'this store has no list of them');
  assert.is(keysOf(world, env).length, 3);
});

/** More of them: test/long/integration/s3.test.ts. */
const LASTING: Record<string, Lasting> = {
  'HTTP 403': {
    fault: seen => (isData(seen) ? answers(403, 'AccessDenied') : undefined),
    says: /AccessDenied.*403.*\n.*AWS_ACCESS_KEY_ID/,
  },
  'a store that drops the metadata': {
    fault: ({ method }) => (method === 'HEAD' ? losesMetadata() : undefined),
    says: /is not what was uploaded: .*SHA-256/,
  },
};

for (const [what, failure] of Object.entries(LASTING)) test(`the store fails: ${what}`, () => fails(failure));

test('once the store is well again, the old backup is deleted, and only that', async () => {
  fresh();
  const before = keysOf(world, good).filter(key => !key.includes(old.id));
  const { id } = await makeBackup(world, {}, { ...good, BACKUP_MIN_KEEP: '1' });
  assert.ok(keysOf(world, good).some(key => key.includes(id)));
  assert.equal(
    keysOf(world, good).filter(key => !key.includes(id)),
    before,
  );
});

// As a process: test/long/integration/s3.test.ts.
test('a store that never answers is given up', async () => {
  const env = { ...fresh({ S3_TIMEOUT: '1s' }), BACKUP_DIR: good.BACKUP_DIR! };
  proxy.fault = () => hangs();
  const config = configOf(world, env);
  const dumb = await openStore(config.s3!, 0);
  for (const work of [lookAtStore, probeStore, (dumb: Store) => uploadBackup(config, dumb, recent)]) {
    const done = await here<unknown>(world, env, () => work(dumb));
    assert.is(done.code, 4, done.error);
    assert.match(done.error, /no answer|timed out|TimeoutError/i);
  }
});

test('a clock 20 minutes off: the copy is made by the store’s time, and it is said', async () => {
  const env = fresh({
    NODE_OPTIONS: `--import=${join(import.meta.dirname, '../support/core/clock-off.ts')}`,
  });
  const done = await backup(env, '--json');
  assert.is(done.code, 0, done.stderr);
  assert.match(done.stderr, /clock is (20 min|19 min 59 s).* behind the store’s: .*timedatectl/);
  const [refused, accepted] = proxy.seen;
  assert.equal(refused!.query, accepted!.query, 'the store refused the first request');
  assert.is(keysOf(world, env).length, 3);
});

test('the store fails: connections refused', () => refused);

test('the servers stop', stop);

test.run();
