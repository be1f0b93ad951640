import { basename, dirname, join } from 'node:path';
import type { CheckedSource } from '../backup/verify.ts';
import type { Postgres } from '../config/config.ts';
import { bytes } from '../core/format.ts';
import { log } from '../core/log.ts';
import { CommandError, run } from '../core/shell.ts';
import { client } from '../postgres/client.ts';
import { freeSpaceOf } from '../postgres/disk-space.ts';
import { runFromFile } from '../postgres/redirect.ts';
import { decompressTo, type OnError, parallelRestore, streamRestore } from './load-commands.ts';
import { loadConnections } from './load-effort.ts';
import { type LoadError, pgRestoreErrors, wentOn } from './load-errors.ts';

/**
 * Loads a custom dump, with {@link loadConnections}.
 *
 * @param settings makes the server settings of this many connections
 * @returns with `collect`, all errors
 * @throws CommandError at the first error with `stop`; for an error that pg_restore does not go on after with `collect`
 */
export async function loadCustom(
  postgres: Postgres,
  source: CheckedSource,
  name: string,
  onError: OnError,
  { settings, ...options }: { purpose: string; state: string; settings: (connections: number) => string },
): Promise<LoadError[]> {
  const jobs = loadConnections(postgres);
  const path = join(source.directory, source.artifact);
  try {
    if (jobs > 1 && (await scratchFits(postgres, source)))
      await loadInParallel(postgres, source, name, onError, jobs, { ...options, settings: settings(jobs) });
    else
      await runFromFile(postgres, streamRestore(name, onError, source.without), path, {
        ...options,
        settings: settings(1),
      });
    return [];
  } catch (error) {
    if (onError === 'stop' || !(error instanceof CommandError)) throw error;
    const errors = pgRestoreErrors(error.stderr);
    if (errors.length === 0 || !wentOn(error.stderr)) throw error;
    return errors;
  }
}

/** Where pg_restore finds the decompressed dump: in the container, if PostgreSQL's programs run there. */
function scratchOf(postgres: Postgres, { work }: CheckedSource): string {
  return join(postgres.container ? '/tmp' : work, `${basename(work)}.dump`);
}

/** pg_restore uses several connections only with a seekable file, so the dump is decompressed to disk first. */
async function scratchFits(postgres: Postgres, source: CheckedSource): Promise<boolean> {
  const where = dirname(scratchOf(postgres, source));
  const needed = 1.2 * (source.manifest?.databaseBytes ?? 0);
  const free = await freeSpaceOf(postgres, where);
  if (free > needed) return true;
  log.warn(
    `${where} has ${bytes(free)} free, too little to decompress ${source.artifact}: loading with one connection`,
  );
  return false;
}

async function loadInParallel(
  postgres: Postgres,
  source: CheckedSource,
  name: string,
  onError: OnError,
  jobs: number,
  { settings, ...options }: { purpose: string; state: string; settings: string },
): Promise<void> {
  const path = join(source.directory, source.artifact);
  const scratch = scratchOf(postgres, source);
  try {
    await runFromFile(postgres, decompressTo(scratch), path, { purpose: 'decompress the dump' });
    const { argv, env } = client(
      postgres,
      parallelRestore(name, onError, scratch, { jobs, without: source.without }),
      settings,
    );
    await run(argv, { env, ...options, timeout: Number.POSITIVE_INFINITY });
  } finally {
    const { argv, env } = client(postgres, ['rm', '-f', scratch]);
    await run(argv, { env, purpose: `remove ${scratch}`, evenInterrupted: true });
  }
}
