/* Retention after many failures, as processes; test/integration/retention.test.ts has one of each kind. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Manifest } from '../../../scripts/lib/backup/manifest.ts';
import { createRetentionWorld, FAILED_DUMPS, ids, writeDumpProgram } from '../../support/backup/retention.ts';

const { world, fresh, backup, planted, kept, stop } = await createRetentionWorld();

test('seven failed runs cost no good backup', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1', BACKUP_RETENTION_DAYS: '1', S3_RETENTION_DAYS: '1' });
  const good = await planted(env, [1, 5, 9]);
  const programs = join(world.directory, 'failing');
  for (let run = 0; run < 7; run++) {
    const [script, code] = FAILED_DUMPS[run % 2]!;
    writeDumpProgram(programs, script);
    const done = await backup({ ...env, PATH: `${programs}:${world.env.PATH}` });
    assert.is(done.code, code, done.stderr);
    assert.equal(kept(env, good), { here: ids(good), offsite: ids(good) });
    assert.is(readdirSync(env.BACKUP_DIR!).length, 9, 'nothing is left of a failed run');
  }
});

test('a collapse in size holds retention', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1' });
  const [first, , old] = (await planted(env, [2, 3, 400])) as [Manifest, Manifest, Manifest];
  await world.sql(
    "CREATE TABLE extra AS SELECT string_agg(gen_random_uuid()::text, '') FROM generate_series(1, 3000)",
  );
  const whole = await backup(env, '--label', 'whole').finally(() => world.sql('DROP TABLE extra'));
  assert.is(whole.code, 0, whole.stderr);
  assert.equal(kept(env, [first, old]).here, [first.id], 'retention was at work');
  const again = await planted(env, [400]);
  const done = await backup(env, '--json');
  assert.is(done.code, 0, done.stderr);
  assert.match(done.stderr, /half of the previous one: .* KiB after .* KiB in neurmatic/);
  assert.match(JSON.parse(done.stdout).warnings[0], /nothing was deleted/);
  assert.equal(kept(env, again), { here: ids(again), offsite: ids(again) });
});

test('the servers stop', stop);

test.run();
