import { test } from 'uvu';
import { createCronWorld } from '../../support/schedule/cron-world.ts';

const { world, assertBacksUp, assertOutlives, assertJson } = await createCronWorld();

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

test('the servers stop', world.stop);

test.run();
