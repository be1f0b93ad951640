import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createCronWorld } from '../../support/schedule/cron-world.ts';

const { world, copy, sh, assertBacksUp, assertOutlives, assertJson } = await createCronWorld();

for (const closed of ['<&-', '>&-', '2>&-']) test(`a backup with ${closed}`, () => assertBacksUp(closed));

test('a backup whose stdout nobody reads on', () => assertOutlives('--json | head -c 1'));

for (const [line, expected] of [
  ['backup.ts --json --dry-run', 0],
  ['verify-backup.ts latest --json', 0],
  ['prune-backups.ts --json --dry-run', 0],
  ['backup.ts --json --env nowhere', 2],
  ['restore.ts --json neurmatic_production_20010101_000000 --yes', 3],
] as const)
  test(`JSON alone on stdout: ${line}`, () => assertJson(line, expected));

test('JSON of a failure, and an unknown environment', async () => {
  const down = await sh(`PGPORT=1 '${copy}/scripts/backup.ts' --json`);
  assert.is(down.code, 1, down.stderr);
  assert.match(JSON.parse(down.stdout).error.message, /PostgreSQL \(127\.0\.0\.1:1\) can't be used/);
  const nowhere = await sh(`DEPLOY_ENV=nowhere '${copy}/scripts/backup.ts'`);
  assert.is(nowhere.code, 2, nowhere.stderr);
  assert.match(nowhere.stderr, /no environment is called "nowhere"\n {2}→ /);
});

test('the servers stop', world.stop);

test.run();
