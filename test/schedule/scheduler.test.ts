/* The scheduler over days of a clock that the test turns. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { lastTime, nextTime } from '../../scripts/lib/core/cron.ts';
import { comingRuns, jobsOf, type Scheduled } from '../../scripts/lib/schedule/jobs.ts';
import { runSchedule } from '../../scripts/lib/schedule/scheduler.ts';
import type { State } from '../../scripts/lib/schedule/state.ts';
import { judge } from '../../scripts/lib/schedule/state.ts';
import { startVirtualTime, type VirtualTime } from '../support/virtual-time.ts';

process.stderr.write = () => true; // what the scheduler says; failures are printed on stdout

const job = (name: Scheduled['name'], expression: string): Scheduled => ({
  name,
  expression,
  script: `${name}.ts`,
  arguments: [],
  argv: [`/${name}.ts`],
  ...(name === 'health-check' && { nagios: true as const }),
});
const NIGHTLY = [job('backup', '0 2 * * *')];

interface Seen {
  /** `backup 2026-01-01T02:00` for each start. */
  starts: string[];
  told: string[];
  stopped: string[];
  /** As it was last kept. */
  state: State;
  saves: number;
}

interface Plan {
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

async function play(plan: Plan): Promise<Seen> {
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

test('a first start runs nothing before its time, and then each night', async () => {
  const { starts, told, state } = await play({ from: '2026-01-01T12:00:00Z', until: '2026-01-04T12:00:00Z' });
  assert.equal(starts, ['backup 2026-01-02T02:00', 'backup 2026-01-03T02:00', 'backup 2026-01-04T02:00']);
  assert.equal(told, []);
  assert.equal(state.jobs.backup, {
    expression: '0 2 * * *',
    due: '2026-01-04T02:00:00.000Z',
    started: '2026-01-04T02:00:00.000Z',
    finished: '2026-01-04T02:01:00.000Z',
    exitCode: 0,
  });
});

const MINUTE = 60_000;
const DUE = Date.parse('2026-01-02T02:00:00Z');

/** Milliseconds from a due time at which a start, or a look, could go wrong. */
const AROUND = [-1000, -999, -500, -100, ...Array.from({ length: 41 }, (_, i) => i - 20), 100, 999, 1000];
const config = loadConfig('production', {
  SCHEDULE_BACKUP: '*/2 * * * *',
  SCHEDULE_HEALTH_CHECK: 'off',
  SCHEDULE_DRILL: 'off',
});

test('started at any moment around a due time, however long that takes: what the table names runs', async () => {
  for (const offset of AROUND) {
    const since = new Date(DUE + offset);
    const { next } = comingRuns(config, since).json.runs[0]!;
    assert.is(next.getTime(), offset < 0 ? DUE : DUE + 2 * MINUTE, `${offset}`);
    for (const startUp of [0, 1, 19, 20, 21, 100, 999, 1000, 1001, 2500, 45_000, 119_999, 121_001, 300_000]) {
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
});

test('however a due time falls between two looks at the clock, the job runs at once, and once', async () => {
  const until = new Date(DUE + 20_000); // before the clock would be looked at anyhow
  for (let offset = -60; offset < 0; offset++) {
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
});

test('the time after, and the time not after, an instant: at the due time itself and a millisecond beside it', () => {
  for (const offset of AROUND) {
    const [instant, day] = [new Date(DUE + offset), 24 * 60 * MINUTE];
    assert.is(nextTime('0 2 * * *', instant).getTime(), offset < 0 ? DUE : DUE + day, `${offset}`);
    assert.is(lastTime('0 2 * * *', instant).getTime(), offset < 0 ? DUE - day : DUE, `${offset}`);
  }
});

test('what comes next after a run is what comes next, though it ends when that is due already', async () => {
  const said: string[] = [];
  process.stderr.write = text => said.push(String(text)) > 0;
  try {
    const { starts } = await play({
      jobs: [job('backup', '* * * * *')],
      from: '2026-01-01T00:00:30Z',
      until: '2026-01-01T00:02:20Z',
      runs: () => ({ seconds: 59.6 }),
      meanwhile: time => time.at('2026-01-01T00:01:59.500Z', () => time.set(1)),
    });
    assert.equal(starts, ['backup 2026-01-01T00:01', 'backup 2026-01-01T00:02']);
  } finally {
    process.stderr.write = () => true;
  }
  assert.match(said.join(''), /backup: ended with 0 after 1 min 1 s; next 2026-01-01 00:02:00 UTC/);
});

test('the clock is looked at, and that is kept, every 30 seconds', async () => {
  const { saves } = await play({ from: '2026-01-01T12:00:00Z', until: '2026-01-01T13:00:00Z' });
  assert.ok(saves >= 120, `${saves}`);
});

test('daylight saving of the server’s zone changes nothing', async () => {
  const zone = process.env.TZ;
  process.env.TZ = 'Europe/Paris';
  try {
    for (const [from, until] of [
      ['2026-03-27T12:00:00Z', '2026-03-30T12:00:00Z'],
      ['2026-10-23T12:00:00Z', '2026-10-26T12:00:00Z'],
    ] as const) {
      const { starts } = await play({ jobs: [job('backup', '30 1 * * *')], from, until });
      assert.equal(
        starts.map(start => start.slice(-5)),
        ['01:30', '01:30', '01:30'],
      );
    }
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
});

const yesterday = (job: Partial<State['jobs'][string]> = {}): State => ({
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

test('three nights missed: made up for once, at the start', async () => {
  const plan = { from: '2026-01-04T12:00:00Z', until: '2026-01-05T12:00:00Z', before: yesterday() };
  const { starts } = await play(plan);
  assert.equal(starts, ['backup 2026-01-04T12:00', 'backup 2026-01-05T02:00']);
});

test('nothing missed: nothing made up for', async () => {
  const plan = { from: '2026-01-01T23:00:00Z', until: '2026-01-02T01:59:00Z', before: yesterday() };
  assert.equal((await play(plan)).starts, []);
});

test('a run that was cut short is made up for once; cut short again, it is told and left', async () => {
  const cut = yesterday({ finished: undefined, exitCode: undefined });
  const soon = { from: '2026-01-01T03:00:00Z', until: '2026-01-01T03:00:20Z' };
  const second = await play({ ...soon, before: cut });
  assert.equal(second.starts, ['backup 2026-01-01T03:00']);
  assert.equal(second.stopped, ['backup']);
  const third = await play({ ...soon, before: second.state });
  assert.equal(third.starts, []);
  assert.match(third.told.join(), /backup was cut short twice/);
  const fourth = await play({ ...soon, until: '2026-01-02T03:00:00Z', before: third.state });
  assert.equal(fourth.starts, ['backup 2026-01-02T02:00']);
  assert.equal(fourth.told, []);
});

test('stopped in the middle of a run: it is ended, waited for, and made up for at the next start', async () => {
  const runs = () => ({ seconds: 3600 });
  const first = await play({ from: '2026-01-01T12:00:00Z', until: '2026-01-02T02:10:00Z', runs });
  assert.equal(first.stopped, ['backup']);
  assert.is(first.state.jobs.backup!.finished, undefined);
  assert.equal(first.told, [], 'a stop is no failure');
  const plan = { from: '2026-01-02T02:11:00Z', until: '2026-01-02T12:00:00Z', before: first.state };
  const second = await play(plan);
  assert.equal(second.starts, ['backup 2026-01-02T02:11']);
  assert.is(second.state.jobs.backup!.exitCode, 0);
});

test('a schedule that was changed, or was off, starts anew', async () => {
  const plan = { jobs: [job('backup', '0 3 * * *')], before: yesterday() };
  const { starts } = await play({ ...plan, from: '2026-01-05T12:00:00Z', until: '2026-01-06T12:00:00Z' });
  assert.equal(starts, ['backup 2026-01-06T03:00']);
});

test('a machine that slept over three nights runs it once', async () => {
  const { starts } = await play({
    from: '2026-01-01T12:00:00Z',
    until: '2026-01-02T12:00:00Z',
    meanwhile: time => time.at('2026-01-01T13:00:00Z', () => time.set(3 * 86_400)),
  });
  assert.equal(starts, ['backup 2026-01-04T13:00', 'backup 2026-01-05T02:00']);
});

test('a clock that goes back by less than a day runs nothing twice', async () => {
  const { starts, told } = await play({
    from: '2026-01-01T12:00:00Z',
    until: '2026-01-03T12:00:00Z',
    meanwhile: time => time.at('2026-01-02T02:05:00Z', () => time.set(-3 * 3600)),
  });
  assert.equal(starts, ['backup 2026-01-02T02:00', 'backup 2026-01-03T02:00']);
  assert.equal(told, []);
});

test('a clock that goes back by more starts anew from there, and it is told', async () => {
  const { starts, told } = await play({
    from: '2026-01-20T12:00:00Z',
    until: '2026-01-22T12:00:00Z',
    meanwhile: time => time.at('2026-01-21T02:05:00Z', () => time.set(-10 * 86_400)),
  });
  assert.equal(starts, ['backup 2026-01-21T02:00', 'backup 2026-01-12T02:00']);
  assert.is(told.length, 1);
  assert.match(told[0]!, /the clock went back to 2026-01-11 02:05:\d\d UTC: backup/);
});

test('a job that still runs when it is due again is refused, told once, and status says so', async () => {
  const { starts, told, state } = await play({
    jobs: [job('backup', '0 * * * *')],
    from: '2026-01-01T00:30:00Z',
    until: '2026-01-01T05:30:00Z',
    runs: start => ({ seconds: start === 1 ? 2.5 * 3600 : 9999 }),
  });
  assert.equal(starts, ['backup 2026-01-01T01:00', 'backup 2026-01-01T04:00']);
  assert.equal(
    told.map(text => text.slice(0, 38)),
    ['backup was due 2026-01-01 02:00:00 UTC', 'backup was due 2026-01-01 05:00:00 UTC'],
  );
  const { json } = judge(state, new Date('2026-01-01T05:30:00Z'));
  assert.is(json.alive, true);
  assert.match(json.problems.join(), /^backup was due 2026-01-01 05:00:00 UTC, but still runs/);
});

test('different jobs overlap', async () => {
  const { starts, told } = await play({
    jobs: [job('backup', '0 2 * * *'), job('drill', '30 2 * * *')],
    from: '2026-01-01T00:00:00Z',
    until: '2026-01-01T03:00:00Z',
    runs: () => ({ seconds: 7200 }),
  });
  assert.equal(starts, ['backup 2026-01-01T02:00', 'drill 2026-01-01T02:30']);
  assert.equal(told, []);
});

test('a held lock is tried again each minute; after a quarter of an hour it is told', async () => {
  const span = { from: '2026-01-01T00:00:00Z', until: '2026-01-01T03:00:00Z' };
  const freed = await play({ ...span, runs: start => ({ seconds: 1, exitCode: start <= 3 ? 75 : 0 }) });
  assert.is(freed.starts.length, 4);
  assert.is(freed.starts[3], 'backup 2026-01-01T02:03');
  assert.equal(freed.told, []);
  const held = await play({ ...span, runs: () => ({ seconds: 1, exitCode: 75 }) });
  assert.ok(held.starts.length >= 14 && held.starts.length <= 17, `${held.starts.length}`);
  assert.is(held.told.length, 1);
  assert.match(held.told[0]!, /backup FAILED: another run has held the lock/);
});

test('what a script can’t tell itself is told: killed, not started, misconfigured', async () => {
  const told = async (name: 'backup' | 'health-check', exitCode: number) => {
    const runs = () => ({ seconds: 1, exitCode });
    const span = { from: '2026-01-01T00:00:00Z', until: '2026-01-01T03:00:00Z' };
    return (await play({ jobs: [job(name, '0 2 * * *')], ...span, runs })).told.join();
  };
  assert.match(await told('backup', 137), /backup FAILED: it was ended by signal 9/);
  assert.match(await told('backup', 127), /backup FAILED: exit status 127/);
  assert.match(await told('backup', 2), /backup FAILED: its flags or the configuration are wrong/);
  for (const own of [0, 1, 3, 4, 130, 143]) assert.is(await told('backup', own), '', `${own}`);
  for (const own of [0, 1, 2, 3]) assert.is(await told('health-check', own), '', `${own}`);
  assert.match(await told('health-check', 139), /signal 11/);
});

test('the same failure every five minutes is told once; every night, each time; a failure ends nothing', async () => {
  const runs = () => ({ seconds: 1, exitCode: 127 });
  const often = await play({
    jobs: [job('health-check', '*/5 * * * *')],
    from: '2026-01-01T00:01:00Z',
    until: '2026-01-01T02:01:00Z',
    runs,
  });
  assert.is(often.starts.length, 24);
  assert.is(often.told.length, 1);
  const nightly = await play({ from: '2026-01-01T00:00:00Z', until: '2026-01-03T03:00:00Z', runs });
  assert.is(nightly.told.length, 3);
});

test('nothing to do at all is waited for as well', async () => {
  const { state } = await play({ jobs: [], from: '2026-01-01T00:00:00Z', until: '2026-01-01T01:00:00Z' });
  assert.equal(state.jobs, {});
});

test('status: alive, silent for too long, overdue, never run', () => {
  const at = (time: string) => judge(yesterday(), new Date(time)).json;
  assert.equal(at('2026-01-01T03:01:59Z').problems, []);
  assert.match(
    at('2026-01-01T03:02:01Z').problems.join(),
    /last looked at the clock at 2026-01-01 03:00:00 UTC/,
  );
  assert.match(at('2025-12-31T00:00:00Z').problems.join(), /last looked/, 'of a clock that went back');
  assert.match(at('2026-01-02T02:03:00Z').problems.join(), /backup is overdue since 2026-01-02 02:00:00 UTC/);
  assert.match(judge(undefined, new Date()).json.problems.join(), /never ran/);
});

test.run();
