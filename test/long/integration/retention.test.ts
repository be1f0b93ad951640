/* Retention after many failures, as processes; test/integration/retention.test.ts has one of each kind. */
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  artifactName,
  globalsName,
  type Manifest,
  manifestName,
} from '../../../scripts/lib/backup/manifest.ts';
import { plant, store } from '../../support/backup/old-backups.ts';
import { createS3World, idOf, keysOf } from '../../support/s3/s3-world.ts';

const { world, fresh, backup, stop } = await createS3World();
const seed = await (async () => {
  const env = fresh();
  const done = await backup(env, '--no-upload', '--json');
  assert.is(done.code, 0, done.stderr);
  return { directory: env.BACKUP_DIR!, id: idOf(done) };
})();

async function planted(env: Record<string, string>, ages: number[]): Promise<Manifest[]> {
  const made: Manifest[] = [];
  for (const days of ages) {
    const manifest = await plant(seed.directory, seed.id, { days }, env.BACKUP_DIR);
    await store(world, env, manifest);
    made.push(manifest);
  }
  return made;
}

/** Asserts that these are whole in both places. */
function assertThere(env: Record<string, string>, manifests: Manifest[]): void {
  const keys = keysOf(world, env);
  for (const { id, format } of manifests) {
    for (const name of [artifactName(id, format), globalsName(id), manifestName(id)]) {
      assert.ok(existsSync(join(env.BACKUP_DIR!, name)), `${name} is here`);
      assert.ok(keys.includes(`${env.S3_PREFIX}/${name}`), `${name} is off-site`);
    }
  }
}

test('seven failed runs cost no good backup', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1', BACKUP_RETENTION_DAYS: '1', S3_RETENTION_DAYS: '1' });
  const good = await planted(env, [1, 5, 9]);
  const programs = join(world.directory, 'failing');
  mkdirSync(programs);
  const fail = (script: string) => {
    writeFileSync(join(programs, 'pg_dump'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(programs, 'pg_dump'), 0o755);
  };
  const version = 'case "$*" in *--version*) echo "pg_dump (PostgreSQL) 15.0"; exit;; esac';
  const failures: [script: string, code: number][] = [
    [`${version}; echo "CREATE TABLE half (" ; echo "pg_dump: error: it broke" >&2; exit 1`, 1],
    [`${version}; echo "CREATE TABLE half ("; exit 0`, 3],
  ];
  for (let run = 0; run < 7; run++) {
    const [script, code] = failures[run % 2]!;
    fail(script);
    const done = await backup({ ...env, PATH: `${programs}:${world.env.PATH}` });
    assert.is(done.code, code, done.stderr);
    assertThere(env, good);
    assert.is(readdirSync(env.BACKUP_DIR!).length, 9, 'nothing is left of a failed run');
  }
});

test('a collapse in size holds retention', async () => {
  const env = fresh({ BACKUP_MIN_KEEP: '1' });
  const [kept, , old] = (await planted(env, [2, 3, 400])) as [Manifest, Manifest, Manifest];
  await world.sql(
    "CREATE TABLE extra AS SELECT string_agg(gen_random_uuid()::text, '') FROM generate_series(1, 3000)",
  );
  const whole = await backup(env, '--label', 'whole').finally(() => world.sql('DROP TABLE extra'));
  assert.is(whole.code, 0, whole.stderr);
  assertThere(env, [kept]);
  assert.not.ok(existsSync(join(env.BACKUP_DIR!, manifestName(old.id))), 'retention was at work');
  const again = await planted(env, [400]);
  const done = await backup(env, '--json');
  assert.is(done.code, 0, done.stderr);
  assert.match(done.stderr, /half of the previous one: .* KiB after .* KiB in neurmatic/);
  assert.match(JSON.parse(done.stdout).warnings[0], /nothing was deleted/);
  assertThere(env, again);
});

test('the servers stop', stop);

test.run();
