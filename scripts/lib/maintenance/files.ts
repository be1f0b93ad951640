/** Logs that have grown, and what killed runs have left in the directories of the scripts. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeUnfinished, unfinishedBackups } from '../backup/create.ts';
import { type Config, ROOT } from '../config/config.ts';
import { PARTIAL } from '../core/files.ts';
import { bytes, duration, plural } from '../core/format.ts';
import { LOG_BOUNDS, rotate } from '../core/log.ts';
import { type Leftover, leftDirectories, leftInServer, sweepAll } from '../restore/leftovers.ts';
import type { Task, Todo } from './tasks.ts';

/** In ms: what is younger may belong to a run that holds no lock. */
const DAY = 86_400_000;

/** The scripts rotate a log before they write to it; this rotates those that only other programs write to. */
export const logs = ({ logDir }: Config): Task => ({
  name: 'logs',
  async look() {
    const files = await filesOf(logDir);
    const large = files.filter(({ path, size }) => path.endsWith('.log') && size >= LOG_BOUNDS.limit);
    return {
      found: `${plural(files.length, 'file')}, ${bytes(files.reduce((sum, { size }) => sum + size, 0))}`,
      todo: large.map(({ path, size }) => ({
        what: `rotate ${path} (${bytes(size)})`,
        run: async () => {
          rotate(path, LOG_BOUNDS); // says itself what prevents it
          const now = await stat(path).catch(() => undefined);
          return now && now.size >= LOG_BOUNDS.limit ? `left ${path} as it is: see the warning` : undefined;
        },
      })),
    };
  },
});

/** Files that never became whole, and what {@link sweepAll} removes. The caller holds the environment's lock while it changes something. */
export const temporary = (config: Config): Task => ({
  name: 'temporary',
  async look() {
    const unfinished = await unfinishedBackups(config);
    const left = [...(await leftDirectories(config)), ...(await leftInServer(config, 60))];
    const partial = (await Promise.all(placesOf(config).map(filesOf)))
      .flat()
      .filter(({ path, age }) => path.endsWith(PARTIAL) && age > DAY);
    const all = unfinished.length + left.length + partial.length;
    return {
      found:
        all === 0 ? 'no run has left anything' : `${plural(all, 'leftover')} of runs that did not finish`,
      todo: [
        ...some(
          unfinished,
          `remove the files of backups that never were whole: ${unfinished.join(', ')}`,
          () => removeUnfinished(config),
        ),
        ...some(left, `remove ${namesOf(left)}`, async () => {
          await sweepAll(config);
          const still = [...(await leftDirectories(config)), ...(await leftInServer(config, 60))];
          // Those of a drill that runs, or that the server does not give up.
          return still.length > 0 ? `removed what no run uses; still there: ${namesOf(still)}` : undefined;
        }),
        ...partial.map(({ path, age }) => ({
          what: `remove ${path}, ${duration(age / 1000)} old`,
          run: () => rm(path, { force: true }),
        })),
      ],
    };
  },
});

const some = (all: unknown[], what: string, run: Todo['run']): Todo[] =>
  all.length > 0 ? [{ what, run }] : [];

const namesOf = (left: Leftover[]) => left.map(({ kind, name }) => `${kind} ${name}`).join(', ');

/** Where scripts write small files as a whole. Not BACKUP_DIR: what is partial there is known by the id of its backup. */
const placesOf = ({ stateDir, logDir }: Config) => [
  stateDir,
  join(stateDir, 'drills'),
  join(stateDir, 'outbox'),
  logDir,
  join(ROOT, 'nginx/upstreams'),
  join(ROOT, 'nginx/maintenance'),
];

interface File {
  path: string;
  size: number;
  /** In ms. */
  age: number;
}

/** @returns the regular files of a directory; none where there is no such directory */
async function filesOf(directory: string): Promise<File[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const found = entries
    .filter(entry => entry.isFile())
    .map(async ({ name }): Promise<File | undefined> => {
      const path = join(directory, name);
      const now = await stat(path).catch(() => undefined); // removed meanwhile
      return now && { path, size: now.size, age: Date.now() - now.mtimeMs };
    });
  return (await Promise.all(found)).filter(each => each !== undefined);
}
