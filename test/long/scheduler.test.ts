/* The scheduler over days and nights, and each of many moments around a due time; test/scheduler.test.ts has some. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertRunsAtOnce, assertStarts, job, play } from '../support/scheduler-play.ts';

process.stderr.write = () => true; // what the scheduler says; failures are printed on stdout

const AROUND = [-1000, -999, -500, -100, ...Array.from({ length: 41 }, (_, i) => i - 20), 100, 999, 1000];

test('started at any moment around a due time, however long that takes: what the table names runs', () =>
  assertStarts(AROUND, [0, 1, 19, 20, 21, 100, 999, 1000, 1001, 2500, 45_000, 119_999, 121_001, 300_000]));

test('however a due time falls between two looks at the clock, the job runs at once, and once', () =>
  assertRunsAtOnce(Array.from({ length: 60 }, (_, i) => i - 60)));

test('a backup each night', async () => {
  const { starts, told } = await play({ from: '2026-01-01T12:00:00Z', until: '2026-01-04T12:00:00Z' });
  assert.equal(starts, ['backup 2026-01-02T02:00', 'backup 2026-01-03T02:00', 'backup 2026-01-04T02:00']);
  assert.equal(told, []);
});

test('a failure each night is told each time', async () => {
  const runs = () => ({ seconds: 1, exitCode: 127 });
  const { told } = await play({ from: '2026-01-01T00:00:00Z', until: '2026-01-03T03:00:00Z', runs });
  assert.is(told.length, 3);
});

test('daylight saving of the server’s zone changes nothing, in the nights around it', async () => {
  process.env.TZ = 'Europe/Paris';
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
});

test('a clock that goes back: by less than a day nothing runs twice, by more it starts from there', async () => {
  for (const [seconds, next] of [
    [-3 * 3600, '2026-01-03T02:00'],
    [-10 * 86_400, '2025-12-24T02:00'],
  ] as const) {
    const { starts } = await play({
      from: '2026-01-01T12:00:00Z',
      until: '2026-01-03T12:00:00Z',
      meanwhile: time => time.at('2026-01-02T02:05:00Z', () => time.set(seconds)),
    });
    assert.equal(starts, ['backup 2026-01-02T02:00', `backup ${next}`]);
  }
});

test.run();
