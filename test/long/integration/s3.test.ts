import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hangs } from '../../support/fault-proxy.ts';
import { createS3World, idOf } from '../../support/s3-world.ts';

const { proxy, fresh, backup, stop } = await createS3World();

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
