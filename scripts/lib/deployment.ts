import { backUp } from '../backup.ts';
import { traffic, worse } from './access-log.ts';
import { type Canary, startCanary } from './canary.ts';
import type { Config, Images } from './config.ts';
import { Exit, Interrupted, messageOf, OperationalError, operational } from './errors.ts';
import { pull } from './images.ts';
import { acknowledgeSignal, throwIfSignalled, uninterrupted } from './interrupt.ts';
import { log } from './log.ts';
import { migrate } from './migrations.ts';
import { pendingMigrations } from './pending.ts';
import { conclude, type Journal, pinImages, type Release, type Step, writeJournal } from './releases.ts';
import { addInstance, isFit, retire, rollBackends, rollFrontend, shortName } from './roll.ts';
import { imageId, inspect } from './stack.ts';
import { lineFor, serviceOf, setUpstream, testNginx } from './upstreams.ts';

/** Seconds of traffic before a release that it is compared with. */
const BASELINE_SECONDS = 600;

export interface Report {
  release: Release;
  exitCode: number;
  /** Why it failed, and what to do; undefined for success. */
  failure?: OperationalError;
}

/**
 * Carries a deployment out, from the step that its journal names; what fails is taken back. Signals are held: one ends the
 * deployment at the next good moment, and takes it back as a failure does.
 *
 * @param journal is kept up to date in `state/`, so that a run that is killed can be finished by another
 */
export function carryOut(config: Config, journal: Journal): Promise<Report> {
  return recorded(config, journal, async canary => {
    let failure: OperationalError;
    try {
      await forward(config, journal, canary);
      return { outcome: 'done' };
    } catch (error) {
      failure = explained(error);
      log.error(`${failure.message}\n  → ${failure.hint}`);
    }
    if (failure instanceof Interrupted) acknowledgeSignal();
    return { outcome: await takeBack(config, journal), failure };
  });
}

/** Takes back what a killed run has left. */
export function goBack(config: Config, journal: Journal): Promise<Report> {
  return recorded(config, journal, async () => ({ outcome: await takeBack(config, journal) }));
}

type Ending = Pick<Release, 'outcome'> & Pick<Report, 'failure'>;

/** Runs `work` under a canary, with signals held, and writes down how it ended. */
function recorded(
  config: Config,
  journal: Journal,
  work: (canary: Canary) => Promise<Ending>,
): Promise<Report> {
  return uninterrupted(async () => {
    const started = performance.now();
    const canary = await startCanary(config);
    let ending: Ending;
    try {
      ending = await work(canary);
    } catch (error) {
      throw unfinished(journal, error);
    } finally {
      await canary.stop();
    }
    const { outcome, failure } = ending;
    const { step: _, servers: __, surge: ___, ...rest } = journal;
    const seconds = Math.round((performance.now() - started) / 100) / 10;
    const release: Release = { ...rest, outcome, seconds, canary: canary.count() };
    await conclude(config, release);
    return {
      release,
      exitCode: failure?.exitCode ?? (outcome === 'stopped' ? Exit.failed : Exit.done),
      ...(failure ? { failure } : {}),
    };
  });
}

function explained(error: unknown): OperationalError {
  const known = operational(error);
  if (known instanceof OperationalError) return known;
  log.error(`this is a bug: ${known instanceof Error ? known.stack : String(known)}`);
  return new OperationalError(messageOf(error), 'report the stack above.');
}

function unfinished(journal: Journal, error: unknown): OperationalError {
  return new OperationalError(
    `going back to the release before failed as well: ${messageOf(error)}`,
    `Nginx sends requests only to instances that were ready. Put it right, then deploy.ts --revert (or --resume to go on with ${journal.release}).`,
  );
}

async function forward(config: Config, journal: Journal, canary: Canary): Promise<void> {
  const at = async (step: Step) => {
    throwIfSignalled();
    journal.step = step;
    await writeJournal(config, journal);
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
  await rollAll(config, journal, journal.images);
  await at('bake');
  await bake(config, journal, before, canary);
  await pinImages(config, journal.images);
}

/** Every instance, then the frontend, to one pair of images. */
async function rollAll(config: Config, { servers, surge }: Journal, images: Images): Promise<void> {
  await testNginx(config);
  const extra = surge ? [lineFor(surge, servers[0]!)] : [];
  if (surge) await addInstance(config, surge, images);
  await rollBackends(config, images, [...extra, ...servers]);
  await rollFrontend(config, images);
  if (surge) await retire(config, servers, [surge]);
  await verify(config, servers.map(serviceOf), images);
}

/** @throws unless every instance runs just the image that it should */
async function verify(config: Config, backends: string[], images: Images): Promise<void> {
  for (const service of [...backends, 'frontend']) {
    const image = service === 'frontend' ? images.frontend : images.backend;
    const [running, wanted] = [await inspect(config, service), await imageId(image)];
    if (running?.state === 'running' && running.imageId === wanted) continue;
    throw new OperationalError(
      `${service} does not run ${shortName(image)}`,
      'somebody else has changed it: `docker ps -a` shows it.',
      Exit.verification,
    );
  }
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
    await new Promise(resolve => setTimeout(resolve, Math.min(5, bakeSeconds) * 1000));
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

/**
 * Goes back to the images of before, unless a migration was applied that they can't live with: then it stops, with Nginx
 * sending requests to all instances that are ready.
 */
export async function takeBack(config: Config, journal: Journal): Promise<Release['outcome']> {
  const rolled = journal.step === 'roll' || journal.step === 'bake' || journal.step === 'revert';
  if (!rolled) await keepApplied(config, journal);
  if (!rolled && journal.contracting.length === 0) {
    log.info('nothing was replaced: the release before serves as it did');
    return 'rolled back';
  }
  if (journal.contracting.length > 0) {
    if (rolled) await settle(config, journal);
    log.error(
      `not rolled back: ${journal.contracting.join(', ')} changed the schema so that the release before may fail\n` +
        '  → deploy a corrected version, or go back with the data of the backup:\n' +
        `    ./scripts/rollback.ts --with-database ${journal.backup ?? 'BACKUP'}`,
    );
    return 'stopped';
  }
  log.info('going back to the release before');
  journal.step = 'revert';
  await writeJournal(config, journal);
  await rollAll(config, journal, journal.previous);
  await pinImages(config, journal.previous);
  log.done('the release before serves again');
  return 'rolled back';
}

/** Of the migrations that were to be applied, leaves those in the journal that were. */
async function keepApplied(config: Config, journal: Journal): Promise<void> {
  const pending =
    journal.step === 'migrate' ? await pendingMigrations(config, journal.images.backend) : undefined;
  const applied = (name: string) => pending !== undefined && !pending.some(each => each.name === name);
  journal.migrations = journal.migrations.filter(applied);
  journal.contracting = journal.contracting.filter(applied);
}

/** All instances that are ready, of whichever release, and no other. */
async function settle(config: Config, { servers }: Journal): Promise<void> {
  const fit = [];
  for (const line of servers) if (await isFit(config, serviceOf(line))) fit.push(line);
  if (fit.length > 0) await setUpstream(config, 'backend', fit);
}
