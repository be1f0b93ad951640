/** One table of the newest backup, brought back as `restore.ts --table` does, but into a scratch database. */
import { randomInt } from 'node:crypto';
import { findSource } from '../backup/find.ts';
import { describeSource } from '../backup/source.ts';
import type { Config } from '../config/config.ts';
import { usageError } from '../core/errors.ts';
import { count, duration, stamp } from '../core/format.ts';
import { withLock } from '../core/lock.ts';
import { NotConfigured } from '../health/check.ts';
import { quoted } from '../restore/choose-tables.ts';
import { copyTables } from '../restore/copy-tables.ts';
import { drillLock } from '../restore/leftovers.ts';
import { loadScratch } from '../restore/scratch.ts';
import type { Task } from './tasks.ts';

/** The live database is not changed. The lock is that of drills, so that no backup waits. */
export const tableRestore = (config: Config): Task => ({
  name: 'table',
  async look() {
    const source = await findSource(config, 'latest', config.s3 ? 's3' : 'local');
    if (source.foreign)
      throw usageError(
        `${source.name} is not loaded: ${source.foreign}`,
        'restore it on another server with --allow-foreign.',
      );
    const tables = source.manifest?.tables ?? [];
    const filled = tables.filter(({ rows }) => rows > 0);
    const all = filled.length > 0 ? filled : tables;
    if (all.length === 0) throw new NotConfigured(`${source.name} has no table`);
    const table = all[randomInt(all.length)]!;
    const what = `restore table ${quoted(table)} (${count(table.rows)} rows)`;
    return {
      found: `one table at random of ${count(all.length)} in ${describeSource(source)}`,
      todo: [
        {
          what: `${what} into a scratch database`,
          run: () =>
            withLock(config.stateDir, drillLock(config), 'maintenance.ts monthly', async () => {
              const gentle = { ...config, postgres: { ...config.postgres, gentle: true } };
              const { total } = await loadScratch(
                gentle,
                'drill',
                async () => source,
                async scratch => {
                  const within = { ...gentle.postgres, database: scratch };
                  await copyTables(within, scratch, [table], `restored_${stamp(new Date())}`);
                },
              );
              return `${what} of ${source.name} in ${duration(total)}: loaded, copied and compared`;
            }),
        },
      ],
    };
  },
});
