import { createBackup } from '../backup/create.ts';
import { fetchSource, type LocalSource, removeWork, restoreDirectory } from '../backup/fetch.ts';
import { describeSource, findSource, type Source } from '../backup/find.ts';
import { planBackup } from '../backup/plan.ts';
import { checkSource } from '../backup/verify.ts';
import type { Result } from '../cli/command.ts';
import { requireTerminal } from '../cli/confirm.ts';
import type { Config } from '../config/config.ts';
import { privateDirectory } from '../core/files.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { preflight } from '../core/preflight.ts';
import { type Stopwatch, stopwatch } from '../core/step-timer.ts';
import { runMigrations } from '../migrations/run.ts';
import { siblingDatabases, siblingName } from '../postgres/databases.ts';
import { type ServerFacts, serverFacts } from '../postgres/server.ts';
import { detachSubscriptions } from '../postgres/subscriptions.ts';
import { loadInto } from './load-dump.ts';
import { createMissingRoles } from './missing-roles.ts';
import { confirmed, type RestoreRequest } from './options.ts';
import { refuseImpossible } from './preflight.ts';
import { replaceLive } from './replication.ts';
import { copyProperties, dropLeftovers, dropOrWarn, swapIn } from './swap.ts';

/**
 * Finds, fetches and checks a backup, asks for confirmation, loads it into a new database, and swaps that in. The caller
 * holds the environment's lock.
 *
 * @throws exit code 2 for a wrong request, 3 for a missing or damaged backup; the live database is then as it was
 */
export async function runRestore(config: Config, request: RestoreRequest): Promise<Result> {
  const { postgres, environment } = config;
  const { wanted, from, target = postgres.database, yes, dryRun } = request;
  const work = restoreDirectory(config);
  const clock = stopwatch();
  try {
    const [server] = await preflight(
      () => serverFacts(postgres),
      () => privateDirectory(config.backupDir, 'BACKUP_DIR'),
      async () => requireTerminal(yes || dryRun),
    );
    const source = await fetchSource(await findSource(config, wanted, from), work);
    clock.lap('fetch');
    await checkSource(postgres, source);
    clock.lap('check');
    const replace = request.target === undefined;
    const { databaseMissing } = await refuseImpossible(config, source, server, target, replace);
    const effect = databaseMissing
      ? ', which does not exist yet.'
      : '. The current database is backed up and kept under another name.';
    const plan = {
      question: `${describeSource(source)} → database ${target} of ${environment}${effect}`,
      database: target,
      json: { source: source.name, target },
    };
    return await confirmed(plan, request, async () => {
      const replaced = databaseMissing ? undefined : postgres.database;
      const safety = replaced && (await safetyBackup(config, source.name, server));
      clock.lap('safety backup');
      const swapped = await loadAndSwap(config, source, request, replaced, clock);
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

/** @returns the new name of the database that was replaced, if there was one, and lines about logical replication */
async function loadAndSwap(
  config: Config,
  source: LocalSource,
  { target, migrate }: RestoreRequest,
  replaced: string | undefined,
  clock: Stopwatch,
): Promise<{ kept?: string; replication: string[] }> {
  const { postgres } = config;
  const live = postgres.database;
  await createMissingRoles(postgres, source);
  const next = siblingName(live, 'new', await dropLeftovers(postgres, live, 'new'));
  const kept = replaced && siblingName(live, 'before', await siblingDatabases(postgres, live, 'before'));
  try {
    await loadInto(config, source, next, live);
    clock.lap('load and compare');
    const replication: string[] = [];
    if (target === undefined) {
      await copyProperties(postgres, source, replaced, next);
      await runMigrations(config, next, migrate);
      replication.push(...(await replaceLive(postgres, live, next, kept)));
    } else {
      const names = (await detachSubscriptions(postgres, next)).join(', ');
      if (names) log.warn(`subscriptions of ${target} are disabled and have no slot: ${names}`);
      await swapIn(postgres, target, next);
    }
    clock.lap('migrate and swap');
    return { kept, replication };
  } catch (error) {
    await dropOrWarn(postgres, next);
    throw error;
  }
}

/** What was restored, how long it took, how old the data is, and what to do next. */
function report(
  source: Source,
  {
    target,
    kept,
    safety,
    clock,
    replication,
  }: { target: string; kept?: string; safety?: string; clock: Stopwatch; replication: string[] },
): Result {
  const dataAge = source.manifest ? (Date.now() - Date.parse(source.manifest.snapshotAt)) / 1000 : null;
  const steps = Object.entries(clock.laps()).map(([step, seconds]) => `${step} ${duration(seconds)}`);
  const text = [
    `restored ${source.name} into ${target} in ${duration(clock.total())} (${steps.join(', ')})`,
    dataAge === null ? 'the age of its data is unknown' : `its data is ${duration(dataAge)} old`,
    ...(kept
      ? [
          `the replaced database is kept as ${kept} and backed up as ${safety}`,
          'next: run health-check.ts; then `restore.ts --finish` drops the kept database, or `restore.ts --undo` swaps it back',
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
      replication,
      seconds: clock.laps(),
      totalSeconds: clock.total(),
      dataAgeSeconds: dataAge,
    },
  };
}
