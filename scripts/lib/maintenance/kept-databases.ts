/** Databases that restores have replaced and kept. */
import type { Config } from '../config/config.ts';
import { bytes, duration, parseStamp, plural } from '../core/format.ts';
import { refuseUnfinishedData } from '../deploy/journal.ts';
import { siblingDatabases, sizeOfDatabase } from '../postgres/databases.ts';
import { drop } from '../postgres/drop.ts';
import { slotsLeft } from '../restore/undo.ts';
import type { Task } from './tasks.ts';

const DAY = 86_400_000;

/** @param days from which age on they are dropped; undefined: none is, because `restore.ts --undo` needs the newest one */
export const keptDatabases = (config: Config, days: number | undefined): Task => ({
  name: 'databases',
  async look() {
    const { postgres } = config;
    refuseUnfinishedData(config);
    const kept = await Promise.all(
      (await siblingDatabases(postgres, 'before')).map(async name => ({
        name,
        age: Date.now() - parseStamp(name.slice(-15)).getTime(),
        size: await sizeOfDatabase(postgres, name),
      })),
    );
    const old = kept.filter(({ age }) => days !== undefined && age >= days * DAY);
    const young = kept.filter(each => !old.includes(each));
    const shown = ({ name, age, size }: (typeof kept)[number]) =>
      `${name} (${bytes(size)}, ${duration(age / 1000)} old)`;
    return {
      found: `${plural(kept.length, 'database')} kept by restores`,
      notes: young.map(
        each =>
          `${shown(each)} stays${days === undefined ? ': --kept-days 7 drops those of seven days and more' : ''}`,
      ),
      todo: old.map(each => ({
        what: `drop ${shown(each)}`,
        run: async () => {
          const slots = await slotsLeft(postgres, await drop(postgres, each.name));
          return [`drop ${shown(each)}`, ...slots].join('; ');
        },
      })),
    };
  },
});
