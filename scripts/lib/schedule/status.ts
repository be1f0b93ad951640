import type { Job } from '../config/config.ts';
import { nextTime } from '../core/cron.ts';
import { duration, table, utc } from '../core/format.ts';
import type { State } from './state.ts';

/** The scheduler looks at the clock every 30 s. */
const ALIVE_SECONDS = 120;

/** @returns the last run of each job, and the problems of the scheduler itself; a failed run is not one */
export function statusOf(state: State | undefined, now: Date) {
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
          `${name} was due ${utc(refused!)}, but is still running since ${utc(started!)}`,
      ),
  ];
  const rows = jobs.map(({ name, started, finished, exitCode, next }) => [
    name,
    started ? utc(started) : 'not yet',
    !started
      ? ''
      : !finished
        ? 'running'
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
