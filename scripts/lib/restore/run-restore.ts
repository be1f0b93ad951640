import { recordPassed } from '../backup/check-log.ts';
import { createBackup } from '../backup/create.ts';
import { checkBackupDirectory, makeBackupDirectory, makeLookingDirectory } from '../backup/directory.ts';
import { fetchSource, removeWork } from '../backup/fetch.ts';
import { findSource } from '../backup/find.ts';
import { planBackup, reserveAt } from '../backup/plan.ts';
import { describeSource, type Source } from '../backup/source.ts';
import { type CheckedSource, checkSource } from '../backup/verify.ts';
import type { Result } from '../cli/command.ts';
import { requireTerminal } from '../cli/confirm.ts';
import type { Config } from '../config/config.ts';
import { duration, plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { preflight } from '../core/preflight.ts';
import { type Stopwatch, stopwatch } from '../core/step-timer.ts';
import { runMigrations } from '../migrations/run.ts';
import { siblingDatabases, siblingName } from '../postgres/databases.ts';
import { giveRights } from '../postgres/give-rights.ts';
import { readSpaceFacts, type SpaceFacts } from '../postgres/load-space.ts';
import { ownsNothing } from '../postgres/role-changes.ts';
import { type ServerFacts, serverFacts } from '../postgres/server.ts';
import { watchLoad } from '../postgres/space-watch.ts';
import { detachSubscriptions } from '../postgres/subscriptions.ts';
import { sayDeniedSettings } from './database-settings.ts';
import { foreignness } from './foreign.ts';
import { DIRECTORIES, sweep } from './leftovers.ts';
import { loadInto } from './load-dump.ts';
import type { LoadError } from './load-errors.ts';
import { createMissingRoles, type Roles } from './missing-roles.ts';
import { confirmed, type RestoreRequest } from './options.ts';
import { leaveOut, sayWhatIsLeftOut } from './plain-dump.ts';
import { refuseImpossible, refuseLaterBackup } from './preflight.ts';
import { replaceLive } from './replication.ts';
import { confirmSmall } from './small-result.ts';
import { copyProperties, dropOrWarn, swapIn } from './swap.ts';
import { type Rights, scanMeanwhile, scannedAgain, whoLoads } from './who-loads.ts';

/**
 * Finds, fetches and checks a backup, asks for confirmation, loads it into a new database, and swaps that in. The caller
 * holds the environment's lock.
 *
 * @throws exit code 2 for a wrong request, 3 for a missing or damaged backup; the live database is then as it was
 */
export async function runRestore(config: Config, request: RestoreRequest): Promise<Result> {
  const { postgres, environment } = config;
  const { wanted, from, target = postgres.database, without = {}, yes, dryRun } = request;
  const work = dryRun ? await makeLookingDirectory(config) : DIRECTORIES.environment(config);
  const clock = stopwatch();
  try {
    const [server] = await preflight(
      () => serverFacts(postgres),
      () => (dryRun ? checkBackupDirectory(config) : makeBackupDirectory(config)),
      async () => requireTerminal(yes || dryRun),
    );
    const found = await findSource(config, wanted, from);
    await refuseLaterBackup(postgres, server, found);
    const foreign = foreignness(config, found, request);
    const left = dryRun ? [] : await sweep(config, 'environment'); // before the space is measured
    const space = await readSpaceFacts(postgres, server);
    const fetched = await fetchSource(found, work, await reserveAt(config, space));
    clock.lap('fetch');
    const [source, scan] = await scanMeanwhile(postgres, fetched, server, () =>
      checkSource(postgres, fetched),
    );
    clock.lap('check');
    const replace = request.target === undefined;
    const options = { replace, without, scan };
    const { databaseMissing, roles } = await refuseImpossible(config, source, server, space, target, options);
    const rights = whoLoads(postgres, server, source, scan, request);
    sayWhatIsLeftOut(source, without);
    const replaced = replace && !databaseMissing ? postgres.database : undefined;
    if (replace) rights.denied = await sayDeniedSettings(postgres, server, replaced, source);
    if (replaced && source.manifest) await confirmSmall(config, source, replaced, request);
    const effect = databaseMissing
      ? ', which does not exist yet.'
      : '. The current database is backed up and kept under another name.';
    const plan = {
      question: `${foreign}${describeSource(source)} → database ${target} of ${environment}${effect}`,
      database: target,
      json: { source: source.name, target },
    };
    return await confirmed(plan, request, async () => {
      const safety = replaced && (await safetyBackup(config, source.name, server));
      clock.lap('safety backup');
      const preparation = { roles, rights, space, clock, left };
      const swapped = await loadAndSwap(config, source, request, replaced, preparation);
      if (swapped.errors.length === 0) recordPassed(config, source, 'loaded');
      return report(source, { target, safety, clock, ...swapped });
    });
  } finally {
    await removeWork(work);
  }
}

/** Backs up the live database before it is replaced. */
async function safetyBackup(config: Config, restored: string, server: ServerFacts): Promise<string> {
  log.info('backing up the live database first');
  const plan = await planBackup(config, config.format, server);
  const { id } = await createBackup(config, plan, {
    format: config.format,
    label: `before restoring ${restored}`,
    safety: true,
  });
  return id;
}

type Preparation = { roles: Roles; rights: Rights; space: SpaceFacts; clock: Stopwatch; left: string[] };

/** @returns the new name of the database that was replaced, if there was one, accepted errors, and what to do about replication */
async function loadAndSwap(
  config: Config,
  source: CheckedSource,
  request: RestoreRequest,
  replaced: string | undefined,
  { roles, rights, space, clock, left }: Preparation,
): Promise<{ kept?: string; errors: LoadError[]; replication: string[] }> {
  const { postgres } = config;
  const { target, migrate, without = {} } = request;
  const live = postgres.database;
  const loaded = await leaveOut(source, without);
  const how = await scannedAgain(postgres, source, loaded, rights);
  await createMissingRoles(postgres, roles);
  const next = siblingName(live, 'new', left);
  try {
    const { errors, rows } = await loadInto(config, loaded, next, space, how);
    clock.lap('load and compare');
    if (replaced && !source.manifest) await confirmSmall(config, source, replaced, request, rows);
    const replication: string[] = [];
    let kept: string | undefined;
    if (target === undefined) {
      const [taken] = await Promise.all([
        siblingDatabases(postgres, 'before'),
        copyProperties(postgres, loaded, replaced, next, rights.denied),
      ]);
      kept = replaced && siblingName(live, 'before', taken);
      await giveToApplication(config, next);
      await watchLoad(postgres, space, next, () => runMigrations(config, next, migrate));
      replication.push(...(await replaceLive(postgres, next, kept)));
    } else {
      const names = (await detachSubscriptions(postgres, next)).join(', ');
      if (names) log.warn(`subscriptions of ${target} are disabled and have no slot: ${names}`);
      await swapIn(postgres, target, next);
    }
    clock.lap('migrate and swap');
    return { kept, errors, replication };
  } catch (error) {
    await dropOrWarn(postgres, next);
    throw error;
  }
}

/**
 * A backup from before the application had a role of its own, or of another server: all is POSTGRES_USER's. Where this
 * server has the role, it gets what it owns in the live database.
 */
async function giveToApplication({ postgres, roles }: Config, next: string): Promise<void> {
  if (!roles.app.password || !(await ownsNothing(postgres, next, roles.app.name))) return;
  log.info(`nothing in the backup belongs to ${roles.app.name}: it gets what ${postgres.user} owns`);
  await giveRights(postgres, next, roles);
}

/** What was restored, how long it took, how old the data is, and what to do next. */
function report(
  source: Source,
  {
    target,
    kept,
    safety,
    errors,
    clock,
    replication,
  }: {
    target: string;
    kept?: string;
    safety?: string;
    errors: LoadError[];
    clock: Stopwatch;
    replication: string[];
  },
): Result {
  const dataAge = source.manifest ? (Date.now() - Date.parse(source.manifest.snapshotAt)) / 1000 : null;
  const steps = Object.entries(clock.laps()).map(([step, seconds]) => `${step} ${duration(seconds)}`);
  const text = [
    `restored ${source.name} into ${target} in ${duration(clock.total())} (${steps.join(', ')})`,
    dataAge === null ? 'the age of its data is unknown' : `its data is ${duration(dataAge)} old`,
    ...(errors.length > 0
      ? [`accepted that ${plural(errors.length, 'statement')} failed; they are listed above`]
      : []),
    ...(kept
      ? [
          `the replaced database is kept as ${kept} and backed up as ${safety}`,
          'next: run `./scripts/health-check.ts`; then `./scripts/restore.ts --finish` drops the kept database, or `./scripts/restore.ts --undo` swaps it back',
        ]
      : []),
    ...replication,
  ].join('\n');
  return {
    text,
    json: {
      restored: source.name,
      database: target,
      kept: kept ?? null,
      safetyBackup: safety ?? null,
      acceptedErrors: errors.map(({ statement, text }) => ({ statement, error: text })),
      replication,
      seconds: clock.laps(),
      totalSeconds: clock.total(),
      dataAgeSeconds: dataAge,
    },
  };
}
