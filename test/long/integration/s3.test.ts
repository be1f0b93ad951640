import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeBackup } from '../../support/core/in-process.ts';
import { answers, cutsRequest, hangs, loses } from '../../support/s3/fault-proxy.ts';
import { createGood, type Lasting, type Passing, passes } from '../../support/s3/s3-failures.ts';
import { createS3World, first, idOf, isData, keysOf, sha256 } from '../../support/s3/s3-world.ts';
import { fileOf } from '../../support/s3/store.ts';

const s3World = await createS3World();
const { world, proxy, fresh, backup, stop } = s3World;
const { good, recent, fails } = await createGood(s3World);

const PASSING: Passing = {
  'five connections reset, as while a store restarts': () => first(5, isData, cutsRequest(0)),
  'HTTP 429': () => first(1, isData, answers(429, 'TooManyRequests')),
};

for (const [what, trouble] of Object.entries(PASSING))
  test(`trouble that passes: ${what}`, () => passes(s3World, good, recent, trouble()));

test('trouble that passes: HTTP 503 SlowDown four times', async () => {
  const env = fresh({ S3_RETRY_TIME: '60s' });
  proxy.fault = first(4, isData, answers(503, 'SlowDown'));
  await makeBackup(world, {}, env);
  assert.is(keysOf(world, env).length, 3);
  for (const key of keysOf(world, env))
    assert.is(sha256(fileOf(world, key)), sha256(join(env.BACKUP_DIR!, key.split('/').at(-1)!)));
});

const LASTING: Record<string, Lasting> = {
  'the manifest alone refused': {
    fault: seen => (isData(seen) && seen.key.endsWith('.json') ? answers(403, 'AccessDenied') : undefined),
    says: /could not upload to s3:\/\/bucket\/.*\.json/,
  },
  'a bucket that does not exist': {
    env: { S3_BUCKET: 'no-such-bucket' },
    says: /NoSuchBucket.*404.*\n.*S3_BUCKET/,
  },
  'a store that drops the object': {
    fault: seen => (isData(seen) && !seen.key.endsWith('.json') ? loses() : undefined),
    says: /is not what was uploaded: it does not exist/,
  },
  'HTTP 500 for ever': {
    fault: seen => (isData(seen) ? answers(500, 'InternalError') : undefined),
    says: /InternalError.*500.*\n.*try again later/,
  },
  'every upload cut': {
    fault: seen => (isData(seen) ? cutsRequest(1000) : undefined),
    says: /could not upload to s3:\/\/bucket\/.*(ECONNRESET|EPIPE|hang up)/,
  },
  'a clock that the store refuses': {
    fault: seen => (isData(seen) ? answers(403, 'RequestTimeTooSkewed') : undefined),
    says: /RequestTimeTooSkewed.*\n.*timedatectl/,
  },
};

for (const [what, failure] of Object.entries(LASTING)) test(`the store fails: ${what}`, () => fails(failure));

test('the store fails, of backup.ts as a process: HTTP 403', () =>
  fails({
    fault: seen => (isData(seen) ? answers(403, 'AccessDenied') : undefined),
    says: /AccessDenied.*403.*\n.*AWS_ACCESS_KEY_ID/,
    asProcess: true,
  }));

test('a store that never answers is given up', async () => {
  const env = fresh({ S3_TIMEOUT: '1s' });
  proxy.fault = () => hangs();
  const done = await backup(env, '--json');
  assert.is(done.code, 4, done.stderr);
  assert.match(done.stderr, /no answer|timed out|TimeoutError/i);
  assert.ok(existsSync(join(env.BACKUP_DIR!, `${idOf(done)}.json`)));
});

test('the servers stop', stop);

test.run();
