import { nextTime } from '../core/cron.ts';
import { Exit } from '../core/errors.ts';
import { duration, utc } from '../core/format.ts';
import { log } from '../core/log.ts';
import type { Service } from '../core/service.ts';
import { due, failureOf, finished, initialState, LOCKED_SECONDS, secondsBetween } from './due.ts';
import type { Scheduled } from './jobs.ts';
import type { JobState, State } from './state.ts';

interface SchedulerDeps {
  now: () => Date;
  /** Rejects when the scheduler must stop. */
  sleep: (seconds: number) => Promise<void>;
  start: (job: Scheduled) => Pick<Service, 'ended' | 'stop'>;
  /** Writes the state; does not reject. */
  save: (state: State) => Promise<void>;
  /** Sends a notification; does not reject. */
  notify: (text: string, exitCode?: number) => Promise<void>;
}

/** Longest time between two readings of the clock: it can be set, and the machine can be suspended. */
const LOOK_SECONDS = 30;
/** Time for a script to clean up. Compose gives the service a little more. */
const STOP_SECONDS = 50;

/**
 * Starts jobs when {@link due} says so, until `sleep` rejects; then stops the running jobs and rejects with the same error.
 * Each decision uses one reading of the clock: with two, a job could become due between them.
 *
 * @param before the state that the last scheduler left
 * @param since a new job is first due after this time
 */
export async function runSchedule(
  jobs: Scheduled[],
  before: State | undefined,
  since: Date,
  { now, sleep, start, save, notify }: SchedulerDeps,
): Promise<never> {
  let state = initialState(jobs, before, since);
  const running = new Map<string, Promise<void>>();
  const stop = new AbortController();
  let notified = Promise.resolve();
  const announce = (text: string, exitCode?: number) => {
    log.warn(text);
    notified = notified.then(() => notify(text, exitCode)); // in order, without delaying the jobs
  };

  async function run(job: Scheduled, previous: JobState): Promise<void> {
    const { name, expression } = job;
    const { started, due: wasDue } = state.jobs[name]!;
    const isLate = secondsBetween(wasDue, started!) > 60;
    log.info(`${name}: starts${isLate ? ` late, was due ${utc(wasDue)}` : ''}`);
    await save(state); // before it starts, so that the next scheduler knows of a run that is killed
    const exitCode = await untilEnded(job, started!);
    running.delete(name);
    if (stop.signal.aborted && exitCode !== Exit.done) return; // cut short: the next scheduler repeats it
    const current = finished(state.jobs[name]!, exitCode, now());
    state = { ...state, jobs: { ...state.jobs, [name]: current } };
    const seconds = duration(secondsBetween(started!, current.finished!));
    log.info(
      `${name}: ended with ${exitCode} after ${seconds}; next ${utc(nextTime(expression, new Date(current.due)))}`,
    );
    const failure = failureOf(job, previous, current);
    if (failure) announce(failure, exitCode);
    await save(state);
  }

  /** Runs a job, and again each minute while another process holds the lock. @returns its exit code */
  async function untilEnded(job: Scheduled, started: string): Promise<number> {
    while (!stop.signal.aborted) {
      const service = start(job);
      const end = () => void service.stop('SIGTERM', STOP_SECONDS);
      stop.signal.addEventListener('abort', end);
      const exitCode = await service.ended;
      stop.signal.removeEventListener('abort', end);
      if (exitCode !== Exit.locked || secondsBetween(started, now()) > LOCKED_SECONDS) return exitCode;
      log.info(`${job.name}: the lock is held; retrying in a minute`);
      await sleep(60);
    }
    return Exit.locked;
  }

  try {
    for (;;) {
      const read = now();
      const previous = state.jobs;
      const decision = due(jobs, state, new Set(running.keys()), read);
      state = decision.state;
      for (const message of decision.messages) {
        if (message.notify) announce(message.text);
        else log.warn(message.text);
      }
      for (const job of decision.start) {
        const ended = run(job, previous[job.name]!);
        ended.catch(() => {}); // its sleep rejects when the scheduler stops
        running.set(job.name, ended);
      }
      await save(state);
      // The first due time after `read`, not after now: saving takes time, and a job may have become due meanwhile.
      const next = Math.min(...jobs.map(({ expression }) => nextTime(expression, read).getTime()));
      await sleep(Math.max(0, Math.min(LOOK_SECONDS, (next - now().getTime()) / 1000)));
    }
  } finally {
    for (const name of running.keys()) log.info(`${name}: is stopped; the next start repeats it`);
    stop.abort();
    await Promise.allSettled(running.values());
    await notified;
    await save(state);
  }
}
