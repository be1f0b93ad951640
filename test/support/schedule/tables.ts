/** The moments around a due time at which a scheduler could go wrong. */
import * as assert from 'uvu/assert';
import { loadConfig } from '../../../scripts/lib/config/config.ts';
import { nextTime } from '../../../scripts/lib/core/cron.ts';
import { comingRuns, jobsOf } from '../../../scripts/lib/schedule/jobs.ts';
import { play } from './play.ts';

const MINUTE = 60_000;
const DUE = Date.parse('2026-01-02T02:00:00Z');

const config = loadConfig('production', {
  SCHEDULE_BACKUP: '*/2 * * * *',
  SCHEDULE_HEALTH_CHECK: 'off',
  SCHEDULE_DRILL: 'off',
  SCHEDULE_CERTIFICATES: 'off',
  SCHEDULE_LOAD_CHECK: 'off',
  SCHEDULE_WEEKLY: 'off',
});

/**
 * Asserts that the run that the table shows takes place, when the scheduler is started at these moments.
 *
 * @param offsets milliseconds from the due time @param startUps milliseconds that the start takes
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
      const expected: Date[] = next <= from ? [from] : []; // it runs once
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
 * Asserts that a job runs at once, and once, when its due time falls between two looks at the clock.
 *
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
