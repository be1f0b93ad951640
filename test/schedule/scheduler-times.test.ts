/* When the scheduler starts jobs, over days of a virtual clock. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { job, play } from '../support/schedule/play.ts';
import { assertRunsAtOnce, assertStarts } from '../support/schedule/tables.ts';

process.stderr.write = () => true; // the scheduler's log; failures of tests are printed on stdout

test('a first start runs nothing before its time, and then each night', async () => {
  const { starts, notified, state } = await play({
    from: '2026-01-01T12:00:00Z',
    until: '2026-01-04T12:00:00Z',
  });
  assert.equal(starts, ['backup 2026-01-02T02:00', 'backup 2026-01-03T02:00', 'backup 2026-01-04T02:00']);
  assert.equal(notified, []);
  assert.equal(state.jobs.backup, {
    expression: '0 2 * * *',
    due: '2026-01-04T02:00:00.000Z',
    started: '2026-01-04T02:00:00.000Z',
    finished: '2026-01-04T02:01:00.000Z',
    exitCode: 0,
  });
});

// Each of many moments: test/long/schedule/scheduler-times.test.ts.
test('started around a due time, however slowly: the run that the table shows takes place', () =>
  assertStarts([-1000, -1, 0, 1, 999], [0, 1, 1000, 1001, 119_999, 300_000]));

test('however a due time falls between two looks at the clock, the job runs at once, and once', () =>
  assertRunsAtOnce([-60, -41, -2, -1]));

test('the next time in the log is right, even if the run ends when that is due already', async () => {
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

test('the heartbeat is saved every 30 seconds', async () => {
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

test('a machine that slept over three nights runs it once', async () => {
  const { starts } = await play({
    from: '2026-01-01T12:00:00Z',
    until: '2026-01-02T12:00:00Z',
    meanwhile: time => time.at('2026-01-01T13:00:00Z', () => time.set(3 * 86_400)),
  });
  assert.equal(starts, ['backup 2026-01-04T13:00', 'backup 2026-01-05T02:00']);
});

test('a clock that goes back by less than a day runs nothing twice', async () => {
  const { starts, notified } = await play({
    from: '2026-01-01T12:00:00Z',
    until: '2026-01-03T12:00:00Z',
    meanwhile: time => time.at('2026-01-02T02:05:00Z', () => time.set(-3 * 3600)),
  });
  assert.equal(starts, ['backup 2026-01-02T02:00', 'backup 2026-01-03T02:00']);
  assert.equal(notified, []);
});

test('a clock that goes back by more than a day: jobs are due after the new time, with a notification', async () => {
  const { starts, notified } = await play({
    from: '2026-01-20T12:00:00Z',
    until: '2026-01-22T12:00:00Z',
    meanwhile: time => time.at('2026-01-21T02:05:00Z', () => time.set(-10 * 86_400)),
  });
  assert.equal(starts, ['backup 2026-01-21T02:00', 'backup 2026-01-12T02:00']);
  assert.is(notified.length, 1);
  assert.match(notified[0]!, /the clock went back to 2026-01-11 02:05:\d\d UTC: backup/);
});

test.run();
