/** Brings the files of a backup to this host. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { diskOf } from '../core/machine.ts';
import { withProgress } from '../core/progress.ts';
import { refuseShortage } from '../postgres/disk-space.ts';
import { download } from '../s3/download.ts';
import type { Without } from './dump-commands.ts';
import { globalsName } from './manifest.ts';
import type { Source } from './source.ts';

/** A source whose files are on this host. */
export interface LocalSource extends Source {
  directory: string;
  /** A temporary directory, empty or with the downloaded files; the caller removes it. */
  work: string;
  /** What a restore leaves out of it; default: nothing. */
  without?: Without;
}

/** Removes a run's temporary directory. A failure is a warning: it must not hide the error of the run. */
export async function removeWork(directory: string): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    log.warn(`could not remove ${directory}: ${messageOf(error)}`);
  }
}

/**
 * Downloads a source from the store, if it is there.
 * @param reserve bytes that stay free on the disk of `directory`; undefined: nothing else writes there
 * @param directory temporary, removed by the caller; files of a killed run are removed first
 * @throws exit code 1 for too little disk space, 3 for a missing object, 4 for a store that can't be read
 */
export async function fetchSource(source: Source, directory: string, reserve?: number): Promise<LocalSource> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (typeof source.directory === 'string') {
    return { ...source, directory: source.directory, work: directory };
  }
  const store = source.directory;
  const total = source.manifest?.artifact.bytes;
  const where = `the disk of ${dirname(directory)}`;
  refuseShortage([
    { what: 'the backup', where, disk: await diskOf(dirname(directory)), bytes: total ?? 0, reserve },
  ]);
  let received = 0;
  await withProgress({ label: 'Fetching', measure: () => received, total }, () =>
    download(store, source.artifact, join(directory, source.artifact), now => {
      received = now;
    }),
  );
  if (source.manifest) {
    const globals = globalsName(source.manifest.id);
    await download(store, globals, join(directory, globals));
  }
  return { ...source, directory, work: directory };
}
