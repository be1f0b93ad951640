import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { CheckedSource } from '../backup/verify.ts';
import type { Postgres } from '../config/config.ts';
import { bytes } from '../core/format.ts';
import { log } from '../core/log.ts';
import { CommandError, run } from '../core/shell.ts';
import { client, producer } from '../postgres/client.ts';
import { disksOf, leftAfter } from '../postgres/disk-space.ts';
import { type SpaceFacts, usesOfLoad } from '../postgres/load-space.ts';
import { runFromFile } from '../postgres/redirect.ts';
import { entriesToLoad, type Scan } from './dump-scan.ts';
import { decompressTo, type OnError, parallelRestore, streamRestore } from './load-commands.ts';
import { type LoadError, pgRestoreErrors, wentOn } from './load-errors.ts';
import { loadSizeOf } from './load-size.ts';

interface Options {
  purpose: string;
  state: string;
  /** @returns server settings of so many connections */
  settings: (connections: number) => string;
  space: SpaceFacts;
  until: AbortSignal;
  /** Of a dump that a role without rights loads: without owners and privileges, and what POSTGRES_USER runs itself. */
  scan?: Scan | undefined;
  /** Default: those of {@link loadSizeOf}. */
  connections?: number | undefined;
}

/**
 * Loads a custom dump.
 *
 * @returns with `collect`, all errors
 * @throws CommandError at the first error with `stop`; for an error that pg_restore does not go on after with `collect`
 */
export async function loadCustom(
  postgres: Postgres,
  source: CheckedSource,
  name: string,
  onError: OnError,
  { settings, space, scan, connections, ...options }: Options,
): Promise<LoadError[]> {
  const jobs = connections ?? loadSizeOf(postgres, source).connections;
  const path = join(source.directory, source.artifact);
  const scratch = scratchOf(postgres, source.work);
  const what = {
    without: scan ? { ...source.without, owners: true } : source.without,
    entries: scan && entriesToLoad(scan),
  };
  try {
    if (jobs > 1 && (await decompress(postgres, source, scratch, space, options.until))) {
      const argv = parallelRestore(name, onError, scratch, { jobs, ...what });
      const { argv: whole, ...command } = producer(postgres, argv, settings(jobs));
      await run(whole, { ...command, ...options, timeout: Number.POSITIVE_INFINITY });
    } else {
      const argv = streamRestore(name, onError, what);
      await runFromFile(postgres, argv, path, { ...options, settings: settings(1) });
    }
    return [];
  } catch (error) {
    if (onError === 'stop' || !(error instanceof CommandError)) throw error;
    const errors = pgRestoreErrors(error.stderr);
    if (errors.length === 0 || !wentOn(error.stderr)) throw error;
    return errors;
  } finally {
    await removeScratch(postgres, source.work);
  }
}

/** Where pg_restore finds the decompressed dump: in the container, if PostgreSQL's programs run there. */
function scratchOf(postgres: Postgres, work: string): string {
  return join(postgres.container ? '/tmp' : work, `${basename(work)}.dump`);
}

/**
 * pg_restore uses several connections only with a seekable file, so the dump is decompressed to disk first: into what the
 * load and the live database leave of that disk.
 *
 * @returns whether it fits
 */
async function decompress(
  postgres: Postgres,
  source: CheckedSource,
  scratch: string,
  space: SpaceFacts,
  until: AbortSignal,
): Promise<boolean> {
  const where = dirname(scratch);
  const path = join(source.directory, source.artifact);
  const [disk] = await disksOf(postgres, [where]);
  const loading = await usesOfLoad(postgres, space, loadSizeOf(postgres, source));
  const all = leftAfter([...loading, { what: 'the decompressed dump', where, disk: disk!, bytes: 0 }]);
  const { free, needed } = all.get(disk!.device)!;
  try {
    if (free - needed >= (await stat(path)).size) {
      const argv = decompressTo(scratch, free - needed);
      await runFromFile(postgres, argv, path, { purpose: 'decompress the dump', until });
      return true;
    }
  } catch (error) {
    until.throwIfAborted();
    if (!(error instanceof CommandError)) throw error;
    await removeScratch(postgres, source.work);
  }
  log.warn(
    `${where} has ${bytes(free)} free, too little to decompress ${source.artifact}: loading with one connection`,
  );
  return false;
}

/** Removes the decompressed dump of the run that has this temporary directory, if there is one. @throws CommandError */
export async function removeScratch(postgres: Postgres, work: string): Promise<void> {
  const path = scratchOf(postgres, work);
  const { argv, env } = client(postgres, ['rm', '-f', path]);
  await run(argv, { env, purpose: `remove ${path}`, evenInterrupted: true });
}
