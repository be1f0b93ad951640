/** The new database of a load, the role that fills it, and what POSTGRES_USER does before and after that. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckedSource } from '../backup/verify.ts';
import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { CommandError } from '../core/shell.ts';
import { createLike, type Encoding } from '../postgres/databases.ts';
import { drop } from '../postgres/drop.ts';
import { type Loader, newLoader } from '../postgres/loader.ts';
import { startFromFile } from '../postgres/redirect.ts';
import { copySettings } from '../postgres/server.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { CLOSE_CRON, createCron } from './cron-extension.ts';
import type { Scan } from './dump-scan.ts';
import { superuserAdvice } from './judge-errors.ts';
import { type LoadError, psqlErrors } from './load-errors.ts';
import { statementsAfter, statementsBefore } from './load-rights.ts';
import { runStatements } from './plain-commands.ts';
import type { Rights } from './who-loads.ts';

export interface Target {
  name: string;
  /** Who loads it. */
  postgres: Postgres;
  /** Settings of each of its sessions, as `-c name=value`. */
  limits: string;
  /** Of those of POSTGRES_USER, in which no event trigger acts. */
  quiet: string;
  /** Who owns it at the end. */
  owner: string;
  /** The role without rights; undefined: POSTGRES_USER loads it. */
  loader?: Loader;
  /** Of the role: the first one, which shows that it can log in, and reads the rows afterwards. */
  session?: Session;
  scan?: Scan;
  hasCron?: boolean;
}

/**
 * Creates an empty database, and with a scan a role that owns it until {@link runAfter}. The caller closes its session.
 *
 * @throws CommandError where they can't be created; OperationalError where the role can't log in and POSTGRES_USER may not load
 *   the dump
 */
export async function createTarget(
  postgres: Postgres,
  name: string,
  otherwise: (Encoding & { owner?: string | undefined }) | undefined,
  { scan, mayFallBack, hasCron, source }: Rights & { source: Pick<CheckedSource, 'name' | 'without'> },
): Promise<Target> {
  if (scan) {
    const loader = newLoader(postgres, name);
    const [settings, owner] = await Promise.all([
      copySettings(postgres),
      createLike(postgres, name, otherwise, loader),
    ]);
    if (hasCron) await createCron(postgres, name, loader.name);
    const session = openSession(loader.postgres, name);
    try {
      await session.query('SELECT');
      return { name, postgres: loader.postgres, ...settings, owner, loader, session, scan, hasCron };
    } catch (error) {
      await session.close();
      if (!(error instanceof CommandError)) throw error;
      const problem = `the role that loads can't log in (${error.message})`;
      if (!mayFallBack)
        throw new OperationalError(problem, superuserAdvice(source), undefined, { cause: error });
      log.warn(`loading with the rights of ${postgres.user}, a superuser: ${problem}`);
      await drop(postgres, name);
    }
  }
  const [{ quiet }, owner] = await Promise.all([
    copySettings(postgres),
    // Without owners the user keeps it: it may not be able to give it away.
    createLike(postgres, name, otherwise, source.without?.owners ? { name: postgres.user } : undefined),
  ]);
  if (hasCron) await createCron(postgres, name);
  return { name, postgres, limits: quiet, quiet, owner };
}

/** Makes what has to be there before the load. @returns the errors */
export async function runBefore(
  postgres: Postgres,
  source: CheckedSource,
  target: Target,
): Promise<LoadError[]> {
  const { loader, scan } = target;
  if (!loader || !scan) return [];
  const tablespaces = source.without?.tablespaces
    ? []
    : (source.manifest?.needs ?? scan.requirements).tablespaces;
  return runStrict(postgres, source, target, statementsBefore(loader, scan, tablespaces));
}

/** Ends the role, gives the database and all in it to their owners, and makes the rest. @returns the errors */
export async function runAfter(
  postgres: Postgres,
  source: CheckedSource,
  target: Target,
): Promise<LoadError[]> {
  const { loader, scan, name, owner, hasCron } = target;
  if (!loader || !scan) return [];
  const whose = { database: name, owner, user: postgres.user };
  const statements = statementsAfter(loader, scan, whose, source.without?.owners ?? false);
  return runStrict(postgres, source, target, [...(hasCron ? CLOSE_CRON : []), ...statements]);
}

/** @param statements with one character a byte; they come from forms that are known, and are run by POSTGRES_USER */
async function runStrict(
  postgres: Postgres,
  { work, name: what }: CheckedSource,
  { name, quiet }: Target,
  statements: string[],
): Promise<LoadError[]> {
  if (statements.length === 0) return [];
  const path = join(work, '.statements.sql');
  await writeFile(path, `${statements.join('\n')}\n`, { encoding: 'latin1', mode: 0o600 });
  try {
    const { stderr } = await startFromFile(postgres, runStatements(name), path, {
      purpose: `give ${name} the extensions, owners and privileges of ${what}`,
      state: 'the live database is unchanged.',
      settings: quiet,
    });
    return psqlErrors(stderr).map(({ line: _, ...error }) => error);
  } finally {
    await rm(path, { force: true });
  }
}
