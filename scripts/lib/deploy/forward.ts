import { backUp } from '../backup/run-backup.ts';
import type { Config, Images } from '../config/config.ts';
import { Exit, OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { sleep, throwIfSignalled } from '../core/signals.ts';
import { pull, shortName } from '../docker/images.ts';
import { criticalLines } from '../health/critical.ts';
import { migrate } from '../migrations/run.ts';
import { traffic, worse } from '../nginx/access-log.ts';
import { testNginx } from '../nginx/reload.ts';
import { lineFor, serviceOf } from '../nginx/upstreams.ts';
import type { Canary } from './canary.ts';
import { addInstance, imageOf, runs } from './instance.ts';
import { type Journal, pinImages, type Step, writeJournal } from './releases.ts';
import { removeStandIn, retire, rollBackends, rollFrontend } from './rolling-update.ts';

/** Seconds of traffic before a release that it is compared with. */
const BASELINE_SECONDS = 600;

/** From where the journal says to the end; every step may be begun again. */
export async function forward(config: Config, journal: Journal, canary: Canary): Promise<void> {
  const at = async (step: Step) => {
    throwIfSignalled();
    await writeJournal(config, journal, step);
  };
  await at('pull');
  await pull(journal.images.backend);
  await pull(journal.images.frontend);
  if (journal.kind === 'deploy' && journal.backup === null) {
    await at('backup');
    const { json, exitCode } = await backUp(config, {
      format: config.format,
      label: `before-${journal.release}`,
      upload: true,
    });
    journal.backup = json.backup.id;
    if (exitCode !== Exit.done) log.warn('the backup is here only: its off-site copy failed');
  }
  if (journal.migrations.length > 0) {
    await at('migrate');
    const { command } = config.migrate!;
    await migrate(config, { command, image: journal.images.backend }, config.postgres.database, {
      live: true,
      hint: 'nothing was replaced. After repairing it, mark it: `npx prisma migrate resolve --rolled-back NAME`.',
    });
    log.done(`migrated: ${journal.migrations.join(', ')}`);
  }
  await at('roll');
  const before = await traffic(config, new Date(Date.now() - BASELINE_SECONDS * 1000));
  const since = await rollAll(config, journal, journal.images);
  await refuseNewlyCritical(config, journal.unwell);
  await at('bake');
  const ends = await Promise.allSettled([
    bake(config, journal, before, canary),
    removeStandIn(config, since),
  ]);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  await pinImages(config, journal.images);
}

/** Every instance, then the frontend, to one pair of images. @returns since when {@link removeStandIn} may wait */
export async function rollAll(config: Config, { servers, surge }: Journal, images: Images): Promise<number> {
  await testNginx(config);
  const extra = surge ? [lineFor(surge, servers[0]!)] : [];
  if (surge) await addInstance(config, surge, images);
  await rollBackends(config, images, [...extra, ...servers]);
  const since = await rollFrontend(config, images);
  if (surge) await retire(config, servers, [surge]);
  await verify(config, servers.map(serviceOf), images);
  return since;
}

/** @throws unless every instance runs just the image that it should */
async function verify(config: Config, backends: string[], images: Images): Promise<void> {
  for (const service of [...backends, 'frontend']) {
    if (await runs(config, service, images)) continue;
    throw new OperationalError(
      `${service} does not run ${shortName(imageOf(images, service))}`,
      'somebody else has changed it: `docker ps -a` shows it.',
      Exit.verification,
    );
  }
}

/** @throws when health-check.ts now finds critical what it did not before */
async function refuseNewlyCritical(config: Config, unwell: string[]): Promise<void> {
  const nameOf = (line: string) => line.split(' ')[0];
  const before = new Set(unwell.map(nameOf));
  const found = (await criticalLines(config)).filter(line => !before.has(nameOf(line)));
  if (found.length === 0) return;
  throw new OperationalError(
    `not well: ${found.join('; ')}`,
    './scripts/health-check.ts --verbose says more.',
  );
}

/** Watches the new release for some time and compares it with the time before. */
async function bake(
  config: Config,
  journal: Journal,
  before: Awaited<ReturnType<typeof traffic>>,
  canary: Canary,
) {
  const { bakeSeconds } = config.deploy;
  if (bakeSeconds === 0 || journal.kind === 'rollback') return;
  const since = new Date();
  const failedBefore = canary.count().failed;
  log.info(`watching ${journal.release} for ${bakeSeconds} s`);
  while (Date.now() < since.getTime() + bakeSeconds * 1000) {
    await sleep(Math.min(5, bakeSeconds));
    throwIfSignalled();
    const failed = canary.count().failed - failedBefore;
    const why =
      worse(before, await traffic(config, since)) ??
      (failed >= 3
        ? `${failed} requests of the canary failed: ${canary.count().failures.at(-1)}`
        : undefined);
    if (why) throw new OperationalError(`${journal.release} is worse than the release before: ${why}`, BAKED);
  }
  log.done(`${journal.release} is no worse than the release before`);
}

const BAKED = 'its instances’ logs and Sentry say why; deploy the corrected version.';
