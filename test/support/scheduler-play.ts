/** The scheduler over a time that a test turns, and its due times met in every way that a slow machine can. */
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config.ts';
import { nextTime } from '../../scripts/lib/cron.ts';
import { comingRuns, jobsOf, type Scheduled } from '../../scripts/lib/schedule.ts';
import type { State } from '../../scripts/lib/schedule-state.ts';
import { runSchedule } from '../../scripts/lib/scheduler.ts';
import { startVirtualTime, type VirtualTime } from './virtual-time.ts';

export const job = (name: Scheduled['name'], expression: string): Scheduled => ({
  name,
  expression,
  script: `${name}.ts`,
  arguments: [],
  argv: [`/${name}.ts`],
  ...(name === 'health-check' && { nagios: true as const }),
});
export const NIGHTLY = [job('backup', '0 2 * * *')];

/** What was kept an hour after the backup of 2026-01-01. */
export const yesterday = (job: Partial<State['jobs'][string]> = {}): State => ({
  heartbeat: '2026-01-01T03:00:00.000Z',
  jobs: {
    backup: {
      expression: '0 2 * * *',
      due: '2026-01-01T02:00:00.000Z',
      started: '2026-01-01T02:00:00.000Z',
      finished: '2026-01-01T02:01:00.000Z',
      exitCode: 0,
      ...job,
    },
  },
});

export interface Seen {
  /** `backup 2026-01-01T02:00` for each start. */
  starts: string[];
  told: string[];
  stopped: string[];
  /** As it was last kept. */
  state: State;
  saves: number;
}

export interface Plan {
  jobs?: Scheduled[];
  from: string | Date;
  until: string | Date;
  /** What its caller takes for its start; default: `from`. */
  since?: Date;
  /** Milliseconds that each look at the clock takes, and each writing of the state. */
  slow?: { reading: number; saving: number };
  before?: State | undefined;
  /** Seconds that a run takes, and its exit code; by number of the start. Never: until it is stopped. */
  runs?: (start: number, name: string) => { seconds: number; exitCode?: number };
  meanwhile?: (time: VirtualTime) => void;
}

export async function play(plan: Plan): Promise<Seen> {
  const { jobs = NIGHTLY, from, until, since = new Date(from), slow, before, runs, meanwhile } = plan;
  const time = startVirtualTime(from, slow?.reading);
  const seen: Seen = { starts: [], told: [], stopped: [], state: undefined as never, saves: 0 };
  meanwhile?.(time);
  const scheduler = runSchedule(jobs, before && structuredClone(before), since, {
    now: time.now,
    sleep: time.sleep,
    start: ({ name }) => {
      seen.starts.push(`${name} ${time.now().toISOString().slice(0, 16)}`);
      const { seconds, exitCode = 0 } = runs?.(seen.starts.length, name) ?? { seconds: 60 };
      const stop = Promise.withResolvers<number>();
      const ended = Promise.race([time.sleep(seconds).then(() => exitCode), stop.promise]);
      ended.catch(() => {});
      return {
        ended: Promise.race([ended.catch(() => stop.promise)]),
        stop: async () => {
          seen.stopped.push(name);
          stop.resolve(143);
        },
      };
    },
    save: async state => {
      seen.state = structuredClone(state);
      seen.saves++;
      if (slow) await time.sleep(slow.saving / 1000).catch(() => {});
    },
    tell: async text => void seen.told.push(text),
  });
  const ended = scheduler.catch((error: Error) => error.message);
  await time.until(new Date(until).toISOString());
  assert.is(await ended, 'the end of the test');
  return seen;
}

const MINUTE = 60_000;
/** A time at which {@link NIGHTLY} is due. */
export const DUE = Date.parse('2026-01-02T02:00:00Z');

const config = loadConfig('production', {
  SCHEDULE_BACKUP: '*/2 * * * *',
  SCHEDULE_HEALTH_CHECK: 'off',
  SCHEDULE_DRILL: 'off',
});

/**
 * Starts a scheduler, and asserts that what the table names runs.
 * @param offsets milliseconds from a due time to the instant for which the table was printed
 * @param startUps milliseconds from then to the scheduler's first look
 */
export async function assertStarts(offsets: number[], startUps: number[]): Promise<void> {
  for (const offset of offsets) {
    const since = new Date(DUE + offset);
    const { next } = comingRuns(config, since).json.runs[0]!;
    assert.is(next.getTime(), offset < 0 ? DUE : DUE + 2 * MINUTE, `${offset}`);
    for (const startUp of startUps) {
      const from = new Date(since.getTime() + startUp);
      const until = new Date(from.getTime() + 2 * MINUTE);
      const { starts } = await play({
        jobs: jobsOf(config).jobs,
        since,
        from,
        until,
        runs: () => ({ seconds: 0 }),
      });
      const expected: Date[] = next <= from ? [from] : []; // made up for once
      for (let time = nextTime('*/2 * * * *', from); time <= until; time = nextTime('*/2 * * * *', time))
        expected.push(time);
      assert.equal(
        starts,
        expected.map(time => `backup ${time.toISOString().slice(0, 16)}`),
        `since ${since.toISOString()}, ${startUp} ms to start`,
      );
    }
  }
}

/**
 * Has a due time fall between two looks at the clock, and asserts that the job runs at once, and once.
 * @param offsets milliseconds from the due time to a look
 */
export async function assertRunsAtOnce(offsets: number[]): Promise<void> {
  const until = new Date(DUE + 20_000); // before the clock would be looked at anyhow
  for (const offset of offsets) {
    for (const slow of [
      { reading: 1, saving: 1 },
      { reading: 2, saving: 30 },
      { reading: 7, saving: 0 },
      { reading: 40, saving: 90 },
    ]) {
      for (const from of [new Date(DUE + offset), new Date(DUE - 30_000 + offset)]) {
        const { starts, state } = await play({ from, until, slow });
        assert.equal(starts, ['backup 2026-01-02T02:00'], `${from.toISOString()} ${JSON.stringify(slow)}`);
        assert.is(state.jobs.backup!.due, new Date(DUE).toISOString());
        assert.ok(Date.parse(state.jobs.backup!.started!) - DUE < 1000, state.jobs.backup!.started);
      }
    }
  }
}
