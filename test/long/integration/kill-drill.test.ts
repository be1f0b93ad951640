import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drill } from '../../../scripts/drill.ts';
import { createFaultedWorld } from '../../support/backup/faulted.ts';
import { otherDatabases } from '../../support/backup/faults.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { KILLS, randomKills } from '../../support/backup/random-kills.ts';
import { stateOf } from '../../support/core/expect.ts';
import { here } from '../../support/core/here.ts';
import { createRandom } from '../../support/core/random.ts';

const world = await createFaultedWorld();
const random = createRandom();
await world.backUp('plain');

for (const format of ['plain', 'custom'] as const) {
  test(`${format}: ${KILLS / 2} kills of drill.ts at random moments (SEED=${random.seed})`, async () => {
    const id = await world.backUp(format);
    const work = join(world.env.BACKUP_DIR!, '.drill-production');
    const oid = await liveOid();
    await randomKills(
      world,
      { script: ['drill', []], runs: KILLS / 2, random, lock: 'production.drill' },
      async () => {
        const files = existsSync(work);
        const left = await otherDatabases(world);
        assert.ok(left.length <= 1 && left.every(name => name.startsWith('app_drill_')), left.join());
        assert.equal([await stateOf(world), await liveOid()], ['live', oid]);
        const { value, error } = await here(world, {}, () =>
          drill.run({ options: {}, positionals: [], config: () => configOf(world, {}) }),
        );
        assert.is((value?.json as { backup?: string } | undefined)?.backup, id, error);
        assert.is(value?.exitCode ?? 0, 0, value?.text);
        await world.assertClean();
        return (
          [files && 'files', left.length > 0 && 'a scratch database'].filter(Boolean).join(', ') || 'nothing'
        );
      },
    );
  });
}

test('the servers stop', world.stop);

async function liveOid(): Promise<number> {
  const sql = `SELECT oid::int8 AS oid FROM pg_database WHERE datname = '${world.database}'`;
  return (await world.rows<{ oid: number }>(sql, 'postgres'))[0]!.oid;
}

test.run();
