/** restore.ts and verify-backup.ts as processes, whose store is in trouble; test/integration/s3-restore.test.ts has the cases. */
import { readdirSync, truncateSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { plant, store } from '../../support/backup/old-backups.ts';
import { finishHere, makeBackup } from '../../support/core/in-process.ts';
import { assertNoSecrets, liveState } from '../../support/postgres/live.ts';
import { answers, cutsAnswer, type Seen } from '../../support/s3/fault-proxy.ts';
import { createS3World, PASSWORD } from '../../support/s3/s3-world.ts';
import { fileOf } from '../../support/s3/store.ts';

const { world, proxy, fresh, stop } = await createS3World();

const here = fresh();
const { id } = await makeBackup(world, {}, here);
/** The same store seen from a new server: there is no backup on its own disk. */
const elsewhere = (extra = {}) => fresh({ S3_PREFIX: here.S3_PREFIX!, ...extra });

const isGet = ({ method, key }: Seen, end: RegExp) => method === 'GET' && end.test(key);

test('trouble that passes while fetching: restored', async () => {
  const env = elsewhere();
  const cut = { manifest: 2, artifact: 2 };
  proxy.fault = seen => {
    if (isGet(seen, /\.json$/) && cut.manifest-- > 0) return cutsAnswer(100);
    return isGet(seen, /\.sql\.gz$/) && cut.artifact-- > 0 ? answers(503, 'SlowDown') : undefined;
  };
  const done = await world.run('restore', ['latest', '--from', 's3', '--json', '--yes'], env);
  assert.is(done.code, 0, done.stderr);
  assert.is(JSON.parse(done.stdout).restored, id);
  await finishHere(world, env);
});

test('the store can’t be read: connections refused', async () => {
  const env = elsewhere({ S3_ENDPOINT: 'http://127.0.0.1:1' });
  const before = await liveState(world);
  const done = await world.run('restore', [id, '--from', 's3', '--yes'], env);
  assert.is(done.code, 4, done.stderr);
  assert.match(done.stderr, /could not list s3:.*ECONNREFUSED.*\n.*S3_ENDPOINT/);
  assert.not.match(done.stderr, /from here on, things change/);
  assertNoSecrets(done, env, [PASSWORD, 'S3RVER']);
  assert.is(await liveState(world), before);
  assert.equal(readdirSync(env.BACKUP_DIR!), []);
});

test('a damaged newest backup is said when an older one is taken for it', async () => {
  const env = elsewhere();
  const old = await plant(here.BACKUP_DIR!, id, { days: 2 });
  await store(world, here, old);
  truncateSync(fileOf(world, `${here.S3_PREFIX}/${id}.json`), 100);
  const done = await world.run('verify-backup', ['latest', '--json'], env);
  assert.is(done.code, 0, done.stderr);
  assert.is(JSON.parse(done.stdout).verified, old.id);
  assert.match(done.stderr, new RegExp(`warning: ${id} is newer, but is ignored \\(s3\\): .*damaged`));
});

test('the servers stop', stop);

test.run();
