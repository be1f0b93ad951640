/** Which backup an operator means. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { messageOf, type OperationalError, usageError, verificationError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { openStore, type Store } from '../s3/open-store.ts';
import { type Backup, type Found, localBackups, newestFirst, type Place, storedBackups } from './catalog.ts';
import { findFile, findObject, notConfigured } from './find-file.ts';
import { type Manifest, parseId } from './manifest.ts';
import { distrust, type SignatureProblem } from './signature.ts';
import type { Source } from './source.ts';

/**
 * @returns where `--from` says to look; undefined: local, then S3
 * @throws exit code 2
 */
export function parsePlace(from: string | undefined): Place | undefined {
  if (from === undefined || from === 'local' || from === 's3') return from;
  throw usageError(`--from takes local or s3, not ${JSON.stringify(from)}`, 'see --help.');
}

/**
 * Finds a backup by what the operator typed: `latest`, an id, a path, or `s3://bucket/key`. `latest` is never a
 * backup that a restore made: after a failed restore it must mean the same backup again, not the one of the
 * damaged database.
 *
 * @param from undefined: local, then S3
 * @throws exit code 2 for a name that is none of these, 3 for a backup that is missing or damaged
 */
export async function findSource(config: Config, wanted: string, from: Place | undefined): Promise<Source> {
  if (wanted.startsWith('s3://')) return findObject(config, wanted);
  if (wanted.includes('/') || existsSync(wanted)) return findFile(config, resolve(wanted));
  if (wanted !== 'latest' && !parseId(wanted)) {
    throw usageError(
      `${JSON.stringify(wanted)} is not a backup id, a file or an s3:// address`,
      './scripts/list-backups.ts lists the ids.',
    );
  }
  const store = from !== 'local' && config.s3 ? await openStore(config.s3) : undefined;
  const matches = ({ id, manifest }: Backup) => (wanted === 'latest' ? !manifest.safety : id === wanted);
  const found = await search(config, from, store, matches);
  // Named by its id, a foreign one is found as well; a trusted copy of it comes first.
  const named = wanted === 'latest' ? [] : found.filter(isForeign).filter(({ id }) => id === wanted);
  const backup = newestFirst(found).find(matches) ?? named[0];
  if (!backup) throw notFound(config, wanted, found);
  const { id, place, manifest, foreign } = backup;
  if (foreign) log.warn(`${id} is foreign (${place}): ${foreign}`);
  if (wanted === 'latest') {
    for (const newer of found.filter(each => each.problem && each.id > id))
      log.warn(`${newer.id} is newer, but is ignored (${newer.place}): ${newer.problem}`);
  }
  const directory = place === 's3' ? store! : config.backupDir;
  const source = { name: id, format: manifest.format, manifest, directory, artifact: manifest.artifact.name };
  return { ...source, ...distrust(foreign) };
}

type Foreign = Found & { manifest: Manifest; foreign: SignatureProblem };
const isForeign = (found: Found): found is Foreign => found.foreign !== undefined;

/**
 * @returns what is in the backup directory, then what is in the store: of a backup in both, the local one is first
 * @throws when the last place can't be read and those before it have no match; exit code 2 without S3 settings
 */
async function search(
  config: Config,
  from: Place | undefined,
  store: Store | undefined,
  matches: (backup: Backup) => boolean,
): Promise<Found[]> {
  const now = Date.now();
  const places = [
    ...(from === 's3' ? [] : [() => localBackups(config, now)]),
    ...(store ? [() => storedBackups(config, store, now)] : []),
  ];
  if (places.length === 0) throw notConfigured('use --from local');
  const found: Found[] = [];
  for (const place of places) {
    try {
      found.push(...(await place()));
    } catch (error) {
      if (place === places.at(-1) && !newestFirst(found).some(matches)) throw error;
      log.warn(messageOf(error)); // the other place may have it
    }
  }
  return found;
}

function notFound(config: Config, wanted: string, found: Found[]): OperationalError {
  const what =
    wanted === 'latest'
      ? `there is no verified backup of ${config.postgres.database} (${config.environment})`
      : `there is no verified backup ${wanted}`;
  const foreign = wanted === 'latest' ? found.filter(each => isForeign(each) && !each.manifest.safety) : [];
  if (foreign.length > 0) {
    const kinds = Map.groupBy(foreign, each => each.foreign);
    const list = [...kinds].map(
      ([kind, { length }]) => `${length} ${kind === 'not signed' ? kind : 'signed with another key'}`,
    );
    return verificationError(
      `${what} with the signature of BACKUP_SIGNING_KEY; there ${foreign.length === 1 ? 'is' : 'are'} ${list.join(' and ')}`,
      `put the old key back into ${config.envFile}, or restore one by its id with --allow-foreign: ./scripts/list-backups.ts lists them.`,
    );
  }
  const problems = found
    .filter(({ id, problem }) => problem && id === wanted)
    .map(({ place, problem }) => `${place}: ${problem}`);
  return verificationError(
    problems.length > 0 ? `${what}: ${problems.join('; ')}` : what,
    './scripts/list-backups.ts lists the backups.',
  );
}
