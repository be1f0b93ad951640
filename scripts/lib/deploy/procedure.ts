import { backUp } from '../backup/run-backup.ts';
import type { Config } from '../config/config.ts';
import { Exit, OperationalError, textOf } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { obeySignals, throwIfSignalled } from '../core/signals.ts';
import { holdImages } from '../docker/held-images.ts';
import { pullBoth } from '../docker/images.ts';
import { migrate } from '../migrations/run.ts';
import type { Traffic } from '../nginx/access-log.ts';
import { beginMaintenance, isInMaintenance } from '../nginx/maintenance.ts';
import type { Canary } from './canary.ts';
import { hasReached, type Journal, type JournalStep, writeJournal } from './journal.ts';
import { pinImages } from './pin-images.ts';
import { rollAll } from './roll-out.ts';
import { restoreData } from './rollback-database.ts';
import { removeTemporaryFrontend } from './rolling-update.ts';
import { baseline, refuseNewlyCritical, watch } from './watch.ts';

interface Deployment {
  config: Config;
  journal: Journal;
  canary: Canary;
  /** The traffic before. */
  before?: Traffic;
  /** When Nginx loaded the last list, by `performance.now()`. */
  listed?: number;
}

interface Step {
  name: string;
  /** The journal's step while it runs; default: as before. */
  step?: JournalStep;
  isNeeded?: (journal: Journal) => boolean;
  run: (deployment: Deployment) => Promise<void>;
}

/** A deployment, in order. Each step may be repeated: --resume begins with the first. */
const STEPS: Step[] = [
  { name: 'pull', run: pullImages },
  { name: 'maintenance page', step: 'maintenance', isNeeded: changesData, run: () => beginMaintenance() },
  {
    name: 'database',
    step: 'restore',
    isNeeded: changesData,
    run: ({ config, journal }) => obeySignals(() => restoreData(config, journal.progress.data!)),
  },
  {
    name: 'backup',
    step: 'backup',
    isNeeded: ({ release }) => release.kind === 'deploy' && release.backup === null,
    run: makeBackup,
  },
  {
    name: 'migrations',
    step: 'migrate',
    isNeeded: ({ release }) => release.migrations.length > 0,
    run: runMigrations,
  },
  { name: 'rolling update', step: 'roll', run: rollOut },
  {
    name: 'health check',
    run: ({ config, journal }) => refuseNewlyCritical(config, journal.progress.criticalBefore),
  },
  { name: 'watch', step: 'bake', run: watchRelease },
  { name: 'env file', run: ({ config, journal }) => pinImages(config, journal.release.images) },
];

function changesData({ progress }: Journal): boolean {
  return progress.data !== undefined;
}

/** Also the images of the previous release, which the way back needs. */
async function pullImages({ config, journal: { release, progress } }: Deployment): Promise<void> {
  await pullBoth(release.images);
  await holdImages(config, Object.values(release.images));
  try {
    await pullBoth(release.previous);
    await holdImages(config, Object.values(release.previous));
  } catch (error) {
    // Replaced instances can only go forward then.
    if (!(error instanceof OperationalError) || !hasReached(progress, 'roll')) throw error;
    log.warn(`there is no way back to the previous release: ${textOf(error)}`);
  }
  const { data } = progress;
  if (data && !hasReached(progress, 'maintenance')) data.maintenance = isInMaintenance();
}

async function makeBackup({ config, journal: { release } }: Deployment): Promise<void> {
  const options = { format: config.format, label: `before-${release.release}`, upload: true };
  const { json, exitCode } = await backUp(config, options);
  release.backup = json.backup.id;
  if (exitCode !== Exit.done) log.warn('the backup is only on this server: its off-site copy failed');
}

async function runMigrations({ config, journal: { release } }: Deployment): Promise<void> {
  const migrations = { command: config.migrate!.command, image: release.images.backend };
  await migrate(config, migrations, config.postgres.database, {
    live: true,
    state: 'no instance was replaced.',
    hint: 'repair the migration and what it left; the next `deploy.ts --plan` shows the command that resolves it.',
  });
  log.done(`migrated: ${release.migrations.join(', ')}`);
}

async function rollOut(deployment: Deployment): Promise<void> {
  const { config, journal } = deployment;
  deployment.before = await baseline(config);
  deployment.listed = await rollAll(config, journal.progress, journal.release.images);
}

/** Meanwhile, the temporary frontend is removed. A rollback is not compared with the release that it leaves. */
async function watchRelease({ config, journal, canary, before, listed }: Deployment): Promise<void> {
  const { kind, release } = journal.release;
  const watched = kind === 'deploy' ? watch(config, release, before!, canary) : undefined;
  const ends = await Promise.allSettled([watched, removeTemporaryFrontend(config, listed!)]);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

/**
 * Runs the steps. The journal names a step before it begins.
 *
 * @throws OperationalError when a step fails; Interrupted when a signal has arrived
 */
export async function runSteps(deployment: Deployment): Promise<void> {
  const times: string[] = [];
  for (const { name, step, isNeeded, run } of STEPS) {
    if (isNeeded && !isNeeded(deployment.journal)) continue;
    throwIfSignalled();
    if (step) await writeJournal(deployment.config, deployment.journal, step);
    const began = performance.now();
    await run(deployment);
    times.push(`${name} ${duration((performance.now() - began) / 1000)}`);
  }
  log.info(`steps: ${times.join(', ')}`);
}
