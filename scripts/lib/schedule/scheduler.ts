import { lastTime, nextTime } from '../core/cron.ts';
import { Exit } from '../core/errors.ts';
import { duration, utc } from '../core/format.ts';
import { log } from '../core/log.ts';
import type { Service } from '../core/service.ts';
import { type Scheduled, toldByItself } from './jobs.ts';
import type { JobState, State } from './state.ts';

/** What the scheduler needs of the world. */
export interface Surroundings {
  now: () => Date;
  /** Rejects when the scheduler is to end. */
  sleep: (seconds: number) => Promise<void>;
  start: (job: Scheduled) => Pick<Service, 'ended' | 'stop'>;
  /** Keeps the state; does not reject. */
  save: (state: State) => Promise<void>;
  /** Tells people; does not reject. */
  tell: (text: string, exitCode?: number) => Promise<void>;
}

/** The clock may have been set meanwhile, or the machine have slept. */
const LOOK_SECONDS = 30;
const DAY_SECONDS = 24 * 3600;
/** A lock that somebody holds is tried again each minute, for so long. */
const LOCKED_SECONDS = 15 * 60;
/** The same failure of a job that recurs more often than this is told once. */
const NEWS_SECONDS = 3600;
/** What a script gets to clean up in; Compose gives the service a little more. */
const STOP_SECONDS = 50;

const seconds = (from: string | Date, to: string | Date) => (+new Date(to) - +new Date(from)) / 1000;

/**
 * Runs jobs when they are due, until `sleep` rejects; then ends what still runs, and rejects likewise. What was
 * missed or cut short is made up for once; a job that still runs when it is due again is not started twice.
 * Each decision is made of one look at the clock: of two, one could be before a time at which a job is due and the other
 * after it.
 *
 * @param before the state that the last scheduler left, if there was one
 * @param since of a job that it did not know, what is due after this instant is run, whenever the first look is
 */
export async function runSchedule(
  jobs: Scheduled[],
  before: State | undefined,
  since: Date,
  { now, sleep, start, save, tell }: Surroundings,
): Promise<never> {
  let looked = now();
  const state: State = { heartbeat: looked.toISOString(), jobs: {} };
  const running = new Map<Scheduled, { stop: () => Promise<void>; over: Promise<void> }>();
  let stopping = false;
  let telling = Promise.resolve();
  const announce = (text: string, exitCode?: number) => {
    log.warn(text);
    telling = telling.then(() => tell(text, exitCode)); // in order, and holding nothing up
  };

  function launch(job: Scheduled, instant: Date, repeated?: true) {
    const own = state.jobs[job.name]!;
    const previous = { ...own };
    const { expression, due } = own;
    const started = instant.toISOString();
    const late = seconds(due, instant);
    log.info(`${job.name}: starts${late > 60 ? `, to make up for ${utc(due)}` : ''}`);
    const current: JobState = { expression, due, started, ...(repeated && { repeated }) };
    state.jobs[job.name] = current;
    let stop = async () => {};
    const over = (async () => {
      await save(state); // before it starts: a run that is killed must be known to have begun
      let exitCode: number = Exit.locked;
      while (!stopping) {
        const service = start(job);
        stop = () => service.stop('SIGTERM', STOP_SECONDS);
        exitCode = await service.ended;
        if (exitCode !== Exit.locked || seconds(started, now()) > LOCKED_SECONDS) break;
        log.info(`${job.name}: the lock is held; again in a minute`);
        await sleep(60);
      }
      running.delete(job);
      if (stopping && exitCode !== Exit.done) return; // cut short: the next start makes up for it
      const finished = now();
      const { refused: _, ...rest } = current;
      state.jobs[job.name] = { ...rest, finished: finished.toISOString(), exitCode };
      const how = `ended with ${exitCode} after ${duration(seconds(started, finished))}`;
      log.info(`${job.name}: ${how}; next ${utc(nextTime(expression, new Date(current.due)))}`);
      const news = exitCode !== previous.exitCode || seconds(previous.finished!, finished) > NEWS_SECONDS;
      if (!toldByItself(job, exitCode) && news)
        announce(`${job.name} FAILED: ${explain(exitCode)}`, exitCode);
      await save(state);
    })();
    over.catch(() => {}); // the sleep that a signal ended
    running.set(job, { stop: () => stop(), over });
  }

  function look(job: Scheduled, instant: Date) {
    const own = state.jobs[job.name]!;
    if (seconds(instant, own.due) > DAY_SECONDS) {
      announce(
        `the clock went back to ${utc(instant)}: ${job.name} was last due ${utc(own.due)}, and starts anew`,
      );
      own.due = instant.toISOString();
    }
    const due = lastTime(job.expression, instant);
    if (due.getTime() <= Date.parse(own.due)) return;
    own.due = due.toISOString();
    if (!running.has(job)) return launch(job, instant);
    const text = `${job.name} was due ${utc(due)}, but the run of ${utc(own.started!)} still goes on`;
    if (own.refused) log.warn(text);
    else announce(text);
    own.refused = due.toISOString();
  }

  for (const job of jobs) {
    const known = before?.jobs[job.name];
    state.jobs[job.name] =
      known?.expression === job.expression ? known : { expression: job.expression, due: since.toISOString() };
  }
  try {
    for (const job of jobs) {
      look(job, looked);
      const own = state.jobs[job.name]!;
      if (running.has(job) || !own.started || own.finished) continue;
      if (!own.repeated) {
        launch(job, looked, true);
        continue;
      }
      announce(`${job.name} was cut short twice, last ${utc(own.started)}: not tried again until it is due`);
      own.finished = looked.toISOString();
    }
    for (;;) {
      state.heartbeat = looked.toISOString();
      await save(state);
      // What comes after the look, even if it is due by now: keeping the state takes time.
      const next = Math.min(...jobs.map(({ expression }) => nextTime(expression, looked).getTime()));
      await sleep(Math.max(0, Math.min(LOOK_SECONDS, (next - now().getTime()) / 1000)));
      looked = now();
      for (const job of jobs) look(job, looked);
    }
  } finally {
    stopping = true;
    for (const { name } of running.keys()) log.info(`${name}: is ended, and made up for at the next start`);
    await Promise.allSettled([...running.values()].flatMap(({ stop, over }) => [stop(), over]));
    await telling;
    await save(state);
  }
}

function explain(exitCode: number): string {
  if (exitCode === Exit.usage) return 'its flags or the configuration are wrong (exit status 2)';
  if (exitCode === Exit.locked) return `another run has held the lock for ${duration(LOCKED_SECONDS)}`;
  if (exitCode > 128) return `it was ended by signal ${exitCode - 128}`;
  return `exit status ${exitCode}`;
}
