import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Config, Job } from '../config/config.ts';
import { nextTime } from '../core/cron.ts';
import { messageOf } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { duration, isTime, table, utc } from '../core/format.ts';
import { log } from '../core/log.ts';

const time = v.pipe(v.string(), v.check(isTime));

const stateSchema = v.object({
  /** When the scheduler last looked at the clock. */
  heartbeat: time,
  jobs: v.record(
    v.string(),
    v.object({
      expression: v.string(),
      /** The last time that was taken care of; at first, when the job was first known. */
      due: time,
      started: v.optional(time),
      /** Without it the run still goes, or was cut short. */
      finished: v.optional(time),
      exitCode: v.optional(v.pipe(v.number(), v.safeInteger())),
      /** This run makes up for one that was cut short. */
      repeated: v.optional(v.boolean()),
      /** It was due then, and did not start because the run before still went. */
      refused: v.optional(time),
    }),
  ),
});

/** What `schedule.ts run` knows of its jobs; on disk, so that a restart misses nothing and repeats nothing. */
export type State = v.InferOutput<typeof stateSchema>;
export type JobState = State['jobs'][string];

const pathOf = ({ stateDir, environment }: Config) => join(stateDir, `${environment}.schedule.json`);

/** @returns the state, or undefined if there is none that can be read, which is said unless there never was one */
export function readState(config: Config): State | undefined {
  const path = pathOf(config);
  if (!existsSync(path)) return undefined;
  try {
    const { success, output, issues } = v.safeParse(stateSchema, JSON.parse(readFileSync(path, 'utf8')));
    if (!success) throw new Error(`${v.getDotPath(issues[0]) ?? 'all of it'} is wrong`);
    return output;
  } catch (error) {
    log.warn(`${path} can't be read and counts as none: ${messageOf(error).split('\n')[0]}`);
    return undefined;
  }
}

/** @returns what writes the state; that it can't is said once, and ends nothing */
export function stateWriter(config: Config): (state: State) => Promise<void> {
  let failing = false;
  let writing = Promise.resolve(); // two at once would write the same file
  return state => {
    const text = JSON.stringify(state, null, 2);
    writing = writing.then(async () => {
      try {
        mkdirSync(config.stateDir, { recursive: true, mode: 0o700 });
        await writeWhole(pathOf(config), text);
        failing = false;
      } catch (error) {
        if (!failing) log.warn(`the schedule's state can't be written: ${messageOf(error)}`);
        failing = true;
      }
    });
    return writing;
  };
}

const ALIVE_SECONDS = 120;

/** @returns how the last runs went, and what is wrong with the scheduler itself; a failed run is not */
export function judge(state: State | undefined, now: Date) {
  if (!state)
    return { text: 'schedule.ts run has never run here', json: { alive: false, problems: ['never ran'] } };
  const ago = (instant: string) => (now.getTime() - Date.parse(instant)) / 1000;
  const jobs = Object.entries(state.jobs).map(([name, job]) => ({
    name: name as Job,
    ...job,
    next: nextTime(job.expression, new Date(job.due)),
  }));
  const alive = Math.abs(ago(state.heartbeat)) < ALIVE_SECONDS;
  const problems = [
    ...(alive ? [] : [`the scheduler last looked at the clock at ${utc(state.heartbeat)}`]),
    ...jobs
      .filter(({ next }) => ago(next.toISOString()) > ALIVE_SECONDS)
      .map(({ name, next }) => `${name} is overdue since ${utc(next)}`),
    ...jobs
      .filter(({ refused }) => refused)
      .map(
        ({ name, refused, started }) =>
          `${name} was due ${utc(refused!)}, but still runs since ${utc(started!)}`,
      ),
  ];
  const rows = jobs.map(({ name, started, finished, exitCode, next }) => [
    name,
    started ? utc(started) : 'not yet',
    !started
      ? ''
      : !finished
        ? 'under way'
        : exitCode === undefined
          ? 'cut short'
          : `exit status ${exitCode}, after ${duration((Date.parse(finished) - Date.parse(started)) / 1000)}`,
    utc(next),
  ]);
  const summary =
    problems.length > 0 ? problems : [`alive, ${duration(ago(state.heartbeat))} ago; nothing is overdue`];
  return {
    text: [table(['job', 'last run', 'how it ended', 'next run'], rows), '', ...summary].join('\n'),
    json: { alive, problems, heartbeat: state.heartbeat, jobs },
  };
}
