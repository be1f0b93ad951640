import type { Config } from '../config/config.ts';
import { Exit, Interrupted, messageOf, OperationalError, operational, textOf } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { acknowledgeSignal, deferSignals } from '../core/signals.ts';
import { releaseImages } from '../docker/held-images.ts';
import { endMaintenance, isInMaintenance } from '../nginx/maintenance.ts';
import { loadWritten } from '../nginx/upstreams.ts';
import { type Canary, startCanary } from './canary.ts';
import { deleteJournal, hasReached, type Journal, writeJournal } from './journal.ts';
import { runSteps } from './procedure.ts';
import { appendRelease, type Release } from './releases.ts';
import { revert } from './revert.ts';

export interface Report {
  release: Release;
  exitCode: number;
  /** Why it failed, and what to do; undefined for success. */
  failure?: OperationalError;
}

/**
 * Runs a deployment or rollback; when a step fails it goes back to the previous release. Signals are deferred: one stops it
 * after the current command, and it goes back as after a failure.
 *
 * @param journal is kept in `state/`, so that --resume and --revert can finish what a killed run began
 * @throws OperationalError when going back fails too; the journal then stays
 */
export async function runDeploy(config: Config, journal: Journal): Promise<Report> {
  await writeJournal(config, journal, 'pull'); // if it can't be written, nothing begins
  return recorded(config, journal, async canary => {
    let failure: OperationalError;
    try {
      await runSteps({ config, journal, canary });
      return { outcome: 'done' };
    } catch (error) {
      failure = explained(error);
      log.error(textOf(failure));
    }
    if (failure instanceof Interrupted) acknowledgeSignal();
    return { outcome: await revert(config, journal), failure };
  });
}

/** Finishes the deployment of a killed run. @throws like {@link runDeploy} */
export async function resumeDeploy(config: Config, journal: Journal): Promise<Report> {
  await loadWritten(config);
  return runDeploy(config, journal);
}

/** Reverts the deployment of a killed run. @throws like {@link runDeploy} */
export function revertDeploy(config: Config, journal: Journal): Promise<Report> {
  return recorded(config, journal, async () => ({ outcome: await revert(config, journal) }));
}

type End = Pick<Release, 'outcome'> & Pick<Report, 'failure'>;

/** Runs `work` with a canary and with deferred signals, and records how it ended. */
function recorded(config: Config, journal: Journal, work: (canary: Canary) => Promise<End>): Promise<Report> {
  return deferSignals(async () => {
    const began = performance.now();
    const canary = startCanary(config);
    let end: End;
    try {
      end = await work(canary);
    } catch (error) {
      const page = isInMaintenance() ? ' Until then visitors see the maintenance page.' : '';
      const hint = error instanceof OperationalError ? ` ${error.hint}` : '';
      throw new OperationalError(
        `going back to the previous release failed too: ${messageOf(error)}`,
        `Nginx sends requests only to instances that were ready.${hint}\n` +
          `  → Fix the cause, then run ./scripts/deploy.ts --revert (or ./scripts/deploy.ts --resume to finish ${journal.release.release}).${page}`,
      );
    } finally {
      await canary.stop();
    }
    const { outcome, failure } = end;
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const release: Release = { ...journal.release, outcome, seconds, canary: canary.count() };
    await close(config, journal, release);
    const exitCode = failure?.exitCode ?? (outcome === 'stopped' ? Exit.failed : Exit.done);
    return { release, exitCode, ...(failure ? { failure } : {}) };
  });
}

/** Records how it ended. It can be repeated after a kill at any point, and the journal goes last. */
async function close(config: Config, { progress }: Journal, release: Release): Promise<void> {
  const { data } = progress;
  try {
    await appendRelease(config, release);
    if (data && hasReached(progress, 'maintenance')) await endMaintenance(data.maintenance);
    await releaseImages(config);
    await deleteJournal(config);
  } catch (error) {
    throw new OperationalError(
      `${release.release} has ended (${release.outcome}), which could not be recorded: ${messageOf(error)}`,
      release.outcome === 'done'
        ? 'correct that, then run ./scripts/deploy.ts --resume.'
        : 'correct that, then run ./scripts/deploy.ts --revert.',
    );
  }
}

function explained(error: unknown): OperationalError {
  const known = operational(error);
  if (known instanceof OperationalError) return known;
  log.error(`this is a bug: ${known instanceof Error ? known.stack : String(known)}`);
  return new OperationalError(messageOf(error), 'report the stack above.');
}
