import type { Config } from '../config/config.ts';
import { Exit, Interrupted, messageOf, OperationalError, operational } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { acknowledgeSignal, deferSignals } from '../core/signals.ts';
import { pendingMigrations } from '../migrations/pending.ts';
import { down, lineFor, loadWritten, type ServerLine, serviceOf } from '../nginx/upstreams.ts';
import { type Canary, startCanary } from './canary.ts';
import { forward, rollAll } from './forward.ts';
import { isFit } from './instance.ts';
import { conclude, type Journal, pinImages, type Release, writeJournal } from './releases.ts';
import { removeStandIn, retire } from './rolling-update.ts';

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

/** Goes on with what a killed run has left, to its end. */
export async function goOn(config: Config, journal: Journal): Promise<Report> {
  await loadWritten(config);
  return carryOut(config, journal);
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
  return deferSignals(async () => {
    const started = performance.now();
    const canary = startCanary(config);
    let ending: Ending;
    try {
      ending = await work(canary);
    } catch (error) {
      throw unfinished(journal, error);
    } finally {
      await canary.stop();
    }
    const { outcome, failure } = ending;
    const { step: _, servers: __, surge: ___, unwell: ____, ...rest } = journal;
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
    if (rolled) await loadWritten(config);
    if (rolled) await settle(config, journal);
    const backup = journal.backup?.startsWith('skipped') ? 'BACKUP' : (journal.backup ?? 'BACKUP');
    log.error(
      `not rolled back: ${journal.contracting.join(', ')} changed the schema so that the release before may fail\n` +
        '  → deploy a corrected version, or go back with the data of the backup:\n' +
        `    ./scripts/rollback.ts --with-database ${backup}`,
    );
    return 'stopped';
  }
  log.info('going back to the release before');
  await writeJournal(config, journal, 'revert');
  await loadWritten(config);
  const since = await rollAll(config, { ...journal, surge: null }, journal.previous);
  if (journal.surge) await retire(config, journal.servers, [journal.surge]);
  await removeStandIn(config, since);
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

/**
 * Requests go to all instances that are ready, of whichever release; the others stay in the list, marked down. One more
 * that was started for the deployment stays where it makes up for another.
 */
async function settle(config: Config, { servers, surge }: Journal): Promise<void> {
  const isReady = (line: ServerLine) => isFit(config, serviceOf(line));
  const fit = new Set<ServerLine>();
  for (const line of servers) if (await isReady(line)) fit.add(line);
  const list = servers.map(line => (fit.has(line) ? line : down(line)));
  const extra = surge ? lineFor(surge, servers[0]!) : undefined;
  const stays = extra && fit.size < servers.length && (await isReady(extra));
  if (fit.size === 0 && !stays) return;
  await retire(config, stays ? [...list, extra] : list, surge && !stays ? [surge] : []);
}
