/** What the scheduler decides. Nothing here runs, waits, or reads a clock. */
import { lastTime } from '../core/cron.ts';
import { Exit } from '../core/errors.ts';
import { duration, utc } from '../core/format.ts';
import { notifiesByItself, type Scheduled } from './jobs.ts';
import type { JobState, State } from './state.ts';

const DAY_SECONDS = 24 * 3600;
/** A job retries each minute, for this long, while another process holds the lock. */
export const LOCKED_SECONDS = 15 * 60;
/** The same failure of a job is notified once in this time. */
const RENOTIFY_SECONDS = 3600;

export const secondsBetween = (from: string | Date, to: string | Date) =>
  (+new Date(to) - +new Date(from)) / 1000;

/** A message for the log, and for the notifications if `notify` is true. */
interface Message {
  text: string;
  notify: boolean;
}

interface Decision {
  /** The state after the jobs of `start` have started. */
  state: State;
  start: Scheduled[];
  messages: Message[];
}

/**
 * @param before the state that the last scheduler left
 * @param since a new job is first due after this time
 */
export function initialState(jobs: Scheduled[], before: State | undefined, since: Date): State {
  const own = ({ name, expression }: Scheduled): JobState => {
    const known = before?.jobs[name];
    return known?.expression === expression ? known : { expression, due: since.toISOString() };
  };
  return { heartbeat: since.toISOString(), jobs: Object.fromEntries(jobs.map(job => [job.name, own(job)])) };
}

/**
 * Decides which jobs start at `now`. A job that missed several runs, or was cut short, starts once; a job that is
 * still running does not start again.
 *
 * @param running the names of the jobs that this scheduler is running
 */
export function due(jobs: Scheduled[], state: State, running: ReadonlySet<string>, now: Date): Decision {
  const messages: Message[] = [];
  const start: Scheduled[] = [];
  const decide = (job: Scheduled): JobState => {
    const { name, expression } = job;
    const own = { ...state.jobs[name]! };
    if (secondsBetween(now, own.due) > DAY_SECONDS) {
      const text = `the clock went back to ${utc(now)}: ${name} was last due ${utc(own.due)}, and is next due after the new time`;
      messages.push({ text, notify: true });
      own.due = now.toISOString();
    }
    const last = lastTime(expression, now);
    const isDue = last.getTime() > Date.parse(own.due);
    if (isDue) own.due = last.toISOString();
    const started = (repeated?: true): JobState => {
      start.push(job);
      return { expression, due: own.due, started: now.toISOString(), ...(repeated && { repeated }) };
    };
    if (running.has(name)) {
      if (!isDue) return own;
      const text = `${name} was due ${utc(last)}, but the run of ${utc(own.started!)} is still running`;
      messages.push({ text, notify: own.refused === undefined });
      return { ...own, refused: own.due };
    }
    if (isDue) return started();
    if (!own.started || own.finished) return own;
    if (!own.repeated) return started(true);
    const text = `${name} was cut short twice, last ${utc(own.started)}: not tried again until it is due`;
    messages.push({ text, notify: true });
    return { ...own, finished: now.toISOString() };
  };
  const decided = Object.fromEntries(jobs.map(job => [job.name, decide(job)]));
  return { state: { heartbeat: now.toISOString(), jobs: decided }, start, messages };
}

/** @returns a job's state after its run has ended */
export function finished({ refused: _, ...own }: JobState, exitCode: number, at: Date): JobState {
  return { ...own, finished: at.toISOString(), exitCode };
}

/** @returns the notification about an ended run; undefined if its script sends it, or if the failure was just notified */
export function failureOf(job: Scheduled, previous: JobState, now: JobState): string | undefined {
  const exitCode = now.exitCode!;
  if (notifiesByItself(job, exitCode)) return undefined;
  const repeats =
    exitCode === previous.exitCode && secondsBetween(previous.finished!, now.finished!) <= RENOTIFY_SECONDS;
  return repeats ? undefined : `${job.name} FAILED: ${explain(exitCode)}`;
}

function explain(exitCode: number): string {
  if (exitCode === Exit.usage) return 'its flags or the configuration are wrong (exit status 2)';
  if (exitCode === Exit.locked) return `another run has held the lock for ${duration(LOCKED_SECONDS)}`;
  if (exitCode > 128) return `it was ended by signal ${exitCode - 128}`;
  return `exit status ${exitCode}`;
}
