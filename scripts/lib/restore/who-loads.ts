/** With whose rights a dump is loaded. */
import type { CheckedSource } from '../backup/verify.ts';
import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import type { ServerFacts } from '../postgres/server.ts';
import type { Setting } from './database-settings.ts';
import { type Scan, scanDump } from './dump-scan.ts';
import { type Accept, superuserAdvice } from './judge-errors.ts';

/** How a dump is loaded. */
export interface Rights {
  /** Of the dump that is loaded by a role without rights; undefined: POSTGRES_USER loads all of it. */
  scan?: Scan | undefined;
  /** Whether POSTGRES_USER loads it where that role can't log in. */
  mayFallBack?: boolean;
  /** Which statements may fail. */
  accept?: Accept;
  /** Whether pg_cron, which can't be created in every database, is made before the load. */
  hasCron?: boolean;
  /** Settings that the restored database can't get. */
  denied?: Setting[];
  /** What a drill can't prove, as a sentence. */
  notProven?: string;
}

interface Options {
  isDrill?: boolean;
  asSuperuser?: boolean;
  acceptErrors?: boolean;
}

/**
 * Reads a source where its statements have to be known: for a load by a role without rights, or for what it needs.
 * @param work what goes on meanwhile; its error comes first
 */
export async function scanMeanwhile<T>(
  postgres: Postgres,
  source: Parameters<typeof scanDump>[1],
  { superuser }: ServerFacts,
  work: () => Promise<T>,
): Promise<[T, Scan | undefined]> {
  const isNeeded = superuser || !source.manifest?.needs;
  const scan = isNeeded ? scanDump(postgres, source) : undefined;
  scan?.catch(() => {}); // a damaged file: `work` says so
  return [await work(), await scan];
}

/**
 * Decides with whose rights a dump is loaded: a superuser's only where the dump has to have them, and was made here.
 *
 * @param asSuperuser the operator wants POSTGRES_USER to load all of it
 * @param acceptErrors whether statements may fail without which all rows are there
 * @throws OperationalError for a dump of another origin that only a superuser can load
 */
export function whoLoads(
  { user }: Postgres,
  { superuser }: ServerFacts,
  source: CheckedSource,
  scan: Scan | undefined,
  { isDrill, asSuperuser, acceptErrors }: Options = {},
): Rights {
  const accept = acceptErrors ? 'all' : 'none';
  const hasCron = source.manifest?.extensions.some(({ name }) => name === 'pg_cron') ?? false;
  if (!superuser || !scan) return { accept, hasCron };
  if (asSuperuser) {
    log.warn(`loading with the rights of ${user}, a superuser, because of --as-superuser`);
    return { accept, hasCron };
  }
  const mayFallBack = source.manifest !== null && source.foreign === undefined;
  const objects = scan.onlySuperuser.join(', ');
  if (objects === '') return { scan, mayFallBack, hasCron, accept: isDrill ? 'of rights' : accept };
  const problem = `only a superuser can load ${objects}`;
  if (isDrill) {
    const notProven = `not everything is proven: ${problem}, and this load has no such rights`;
    log.warn(notProven);
    return { scan, mayFallBack, hasCron, accept: 'all', notProven };
  }
  if (mayFallBack) {
    log.warn(`loading with the rights of ${user}, a superuser: ${problem}`);
    return { accept, hasCron };
  }
  throw new OperationalError(`${problem}, and ${source.name} was not made here`, superuserAdvice(source));
}

/** @returns the rights for a dump that something was left out of, which is another file then */
export async function scannedAgain(
  postgres: Postgres,
  source: CheckedSource,
  loaded: CheckedSource,
  rights: Rights,
): Promise<Rights> {
  if (!rights.scan || loaded.artifact === source.artifact) return rights;
  return { ...rights, scan: await scanDump(postgres, loaded) };
}
