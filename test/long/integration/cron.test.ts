import { test } from 'uvu';
import { createCronWorld } from '../../support/cron-world.ts';

const { world, assertBacksUp, assertJson } = await createCronWorld();

for (const closed of ['<&-', '>&-', '2>&-']) test(`a backup with ${closed}`, () => assertBacksUp(closed));

for (const [line, expected] of [
  ['backup.ts --json --dry-run', 0],
  ['verify-backup.ts latest --json', 0],
  ['prune-backups.ts --json --dry-run', 0],
  ['backup.ts --json --env nowhere', 2],
] as const)
  test(`JSON alone on stdout: ${line}`, () => assertJson(line, expected));

test('the servers stop', world.stop);

test.run();
