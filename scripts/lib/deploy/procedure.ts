import { backUp } from '../backup/run-backup.ts';
import type { Config } from '../config/config.ts';
import { Exit, OperationalError, textOf } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { obeySignals, throwIfSignalled } from '../core/signals.ts';
import { holdImages } from '../docker/held-images.ts';
import { pullBoth, versionOf } from '../docker/images.ts';
import { criticalChecks } from '../health/all-checks.ts';
import { migrate } from '../migrations/run.ts';
import { beginMaintenance, isInMaintenance } from '../nginx/maintenance.ts';
import { serviceOf } from '../nginx/upstreams.ts';
import type { Canary } from './canary.ts';
import { hasReached, type Journal, type JournalStep, writeJournal } from './journal.ts';
import { pinImages } from './pin-images.ts';
import { rollAll } from './roll-out.ts';
import { restoreData } from './rollback-database.ts';
import { removeTemporaryFrontend } from './rolling-update.ts';
import { compare, refuseNewlyCritical, startWatch, type Watched, watch } from './watch.ts';

interface Deployment {
  config: Config;
  journal: Journal;
  canary: Canary;
  /** The new release and the one before, from the rolling update on; not for a rollback. */
  watched?: Watched;
  /** When the rolling update began. */
  rolledSince?: Date;
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
  {
    name: 'health before',
    // A killed run may have replaced instances already.
    isNeeded: ({ progress }) => progress.step === 'pull',
    run: lookBefore,
  },
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

/** Since the plan, the operator may have taken an hour to answer: what became critical meanwhile is not the release's doing. */
async function lookBefore({ config, journal: { progress } }: Deployment): Promise<void> {
  progress.criticalBefore = await criticalChecks(config);
}

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
  const image = release.images.backend;
  const version = versionOf(image);
  await migrate(config, { command: config.migrate!.command, image }, config.postgres.database, {
    live: true,
    state: 'no instance was replaced.',
    hint: `repair the migration and what it left; \`./scripts/deploy.ts ${version} --plan\` shows the command that resolves it.`,
  });
  log.done(`migrated: ${release.migrations.join(', ')}`);
}

async function rollOut(deployment: Deployment): Promise<void> {
  const { config, journal, canary } = deployment;
  const { kind, release, images, previous } = journal.release;
  const { servers, surge } = journal.progress;
  // A rollback is not compared with the release that it leaves.
  if (kind === 'deploy') {
    const services = [...servers.map(serviceOf), ...(surge ? [surge] : []), 'frontend', 'frontend-2'];
    const watched = await startWatch({ config, release, images, previous, services, canary });
    Object.assign(deployment, { watched, rolledSince: new Date() });
  }
  const { watched } = deployment;
  const trial = watched && { compare: () => compare(watched) };
  deployment.listed = await rollAll(config, journal.progress, images, trial);
}

/** Meanwhile, the temporary frontend is removed. */
async function watchRelease({ config, watched, rolledSince, listed }: Deployment): Promise<void> {
  const watching = watched && watch(watched, rolledSince!);
  const ends = await Promise.allSettled([watching, removeTemporaryFrontend(config, listed!)]);
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
