/** Plays a scheduler over days of a virtual clock. */
import * as assert from 'uvu/assert';
import type { Scheduled } from '../../../scripts/lib/schedule/jobs.ts';
import { runSchedule } from '../../../scripts/lib/schedule/scheduler.ts';
import type { State } from '../../../scripts/lib/schedule/state.ts';
import { startVirtualTime, type VirtualTime } from './virtual-time.ts';

export const job = (name: Scheduled['name'], expression: string): Scheduled => ({
  name,
  expression,
  argv: [`/${name}.ts`],
  ...(name === 'health-check' && { nagios: true as const }),
});
export const NIGHTLY = [job('backup', '0 2 * * *')];

export interface Seen {
  /** `backup 2026-01-01T02:00` for each start. */
  starts: string[];
  notified: string[];
  stopped: string[];
  /** As it was last saved. */
  state: State;
  saves: number;
}

export interface Plan {
  jobs?: Scheduled[];
  from: string | Date;
  until: string | Date;
  /** The start of its process; default: `from`. */
  since?: Date;
  /** Milliseconds that each reading of the clock takes, and each saving of the state. */
  slow?: { reading: number; saving: number };
  before?: State | undefined;
  /** Seconds that a run takes, and its exit code; by number of the start. Default: a minute, 0. */
  runs?: (start: number, name: string) => { seconds: number; exitCode?: number };
  meanwhile?: (time: VirtualTime) => void;
}

export async function play(plan: Plan): Promise<Seen> {
  const { jobs = NIGHTLY, from, until, since = new Date(from), slow, before, runs, meanwhile } = plan;
  const time = startVirtualTime(from, slow?.reading);
  const seen: Seen = { starts: [], notified: [], stopped: [], state: undefined as never, saves: 0 };
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
    notify: async text => void seen.notified.push(text),
  });
  const ended = scheduler.catch((error: Error) => error.message);
  await time.until(new Date(until).toISOString());
  assert.is(await ended, 'the end of the test');
  return seen;
}

/** The state after a backup on 1 January 2026. */
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
