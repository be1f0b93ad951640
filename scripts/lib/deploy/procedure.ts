import { backUp as makeBackup } from '../backup/run-backup.ts';
import type { Config } from '../config/config.ts';
import { Exit } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { throwIfSignalled } from '../core/signals.ts';
import { pull as pullImage } from '../docker/images.ts';
import { migrate as runMigrations } from '../migrations/run.ts';
import type { Traffic } from '../nginx/access-log.ts';
import type { Canary } from './canary.ts';
import { type Journal, type JournalStep, writeJournal } from './journal.ts';
import { pinImages as writeImages } from './pin-images.ts';
import { rollAll } from './roll-out.ts';
import { removeTemporaryFrontend } from './rolling-update.ts';
import { baseline, refuseNewlyCritical, watch as watchRelease } from './watch.ts';

/** What the steps share. */
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
  /** The journal's step while it runs; default: as before. */
  step?: JournalStep;
  isNeeded?: (journal: Journal) => boolean;
  run: (deployment: Deployment) => Promise<void>;
}

/** A deployment, in order. Each step may be repeated: --resume begins with the first. */
const STEPS: Step[] = [
  { step: 'pull', run: pull },
  {
    step: 'backup',
    run: backUp,
    isNeeded: ({ release }) => release.kind === 'deploy' && release.backup === null,
  },
  { step: 'migrate', run: migrate, isNeeded: ({ release }) => release.migrations.length > 0 },
  { step: 'roll', run: rollOut },
  { run: checkHealth },
  { step: 'bake', run: watch },
  { run: pinImages },
];

async function pull({ journal: { release } }: Deployment): Promise<void> {
  await pullImage(release.images.backend);
  await pullImage(release.images.frontend);
}

async function backUp({ config, journal: { release } }: Deployment): Promise<void> {
  const options = { format: config.format, label: `before-${release.release}`, upload: true };
  const { json, exitCode } = await makeBackup(config, options);
  release.backup = json.backup.id;
  if (exitCode !== Exit.done) log.warn('the backup is only on this server: its off-site copy failed');
}

async function migrate({ config, journal: { release } }: Deployment): Promise<void> {
  const migrations = { command: config.migrate!.command, image: release.images.backend };
  await runMigrations(config, migrations, config.postgres.database, {
    live: true,
    state: 'no instance was replaced.',
    hint: 'repair the migration, then mark it: `npx prisma migrate resolve --rolled-back NAME`.',
  });
  log.done(`migrated: ${release.migrations.join(', ')}`);
}

async function rollOut(deployment: Deployment): Promise<void> {
  const { config, journal } = deployment;
  deployment.before = await baseline(config);
  deployment.listed = await rollAll(config, journal.progress, journal.release.images);
}

async function checkHealth({ config, journal }: Deployment): Promise<void> {
  await refuseNewlyCritical(config, journal.progress.criticalBefore);
}

/** Meanwhile, the temporary frontend is removed. A rollback is not compared with the release that it leaves. */
async function watch({ config, journal: { release }, canary, before, listed }: Deployment): Promise<void> {
  const watched =
    release.kind === 'deploy' ? watchRelease(config, release.release, before!, canary) : undefined;
  const ends = await Promise.allSettled([watched, removeTemporaryFrontend(config, listed!)]);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

async function pinImages({ config, journal }: Deployment): Promise<void> {
  await writeImages(config, journal.release.images);
}

/**
 * Runs the steps. The journal names a step before it begins.
 *
 * @throws OperationalError when a step fails; Interrupted when a signal has arrived
 */
export async function runSteps(deployment: Deployment): Promise<void> {
  const times: string[] = [];
  for (const { step, isNeeded, run } of STEPS) {
    if (isNeeded && !isNeeded(deployment.journal)) continue;
    throwIfSignalled();
    if (step) await writeJournal(deployment.config, deployment.journal, step);
    const began = performance.now();
    await run(deployment);
    times.push(`${run.name} ${duration((performance.now() - began) / 1000)}`);
  }
  log.info(`steps: ${times.join(', ')}`);
}
