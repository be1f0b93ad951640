/* The scheduler's decisions, without a clock or a process. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { due, failureOf, finished, initialState } from '../../scripts/lib/schedule/due.ts';
import type { JobState } from '../../scripts/lib/schedule/state.ts';
import { job, NIGHTLY, yesterday } from '../support/schedule/play.ts';

const NOON = new Date('2026-01-01T12:00:00Z');
const NIGHT = new Date('2026-01-02T02:00:00Z');

/** @returns what is decided for the nightly backup */
function decide(own: Partial<JobState>, now: Date, running: string[] = []) {
  const { state, start, messages } = due(NIGHTLY, yesterday(own), new Set(running), now);
  return { own: state.jobs.backup!, starts: start.length, messages };
}

test('a job starts when it is due, and not before', () => {
  assert.is(decide({}, new Date(+NIGHT - 1)).starts, 0);
  const { own, starts, messages } = decide({}, NIGHT);
  assert.is(starts, 1);
  const at = NIGHT.toISOString();
  assert.equal(own, { expression: '0 2 * * *', due: at, started: at });
  assert.equal(messages, []);
});

test('the state that it is given stays as it is', () => {
  const state = yesterday();
  due(NIGHTLY, state, new Set(), NIGHT);
  assert.equal(state, yesterday());
});

test('a running job does not start again: one notification, then lines in the log', () => {
  const cut = { finished: undefined };
  const first = decide(cut, NIGHT, ['backup']);
  assert.equal([first.starts, first.messages.map(({ notify }) => notify)], [0, [true]]);
  const second = decide(first.own, new Date('2026-01-03T02:00:00Z'), ['backup']);
  assert.equal([second.starts, second.messages.map(({ notify }) => notify)], [0, [false]]);
  assert.is(second.own.refused, '2026-01-03T02:00:00.000Z');
});

test('a run that was cut short is repeated once', () => {
  const first = decide({ finished: undefined }, NOON);
  assert.equal([first.starts, first.own.repeated], [1, true]);
  const second = decide({ ...first.own, finished: undefined }, NOON);
  assert.equal([second.starts, second.own.finished], [0, NOON.toISOString()]);
  assert.match(second.messages[0]!.text, /cut short twice/);
});

test('a job with another expression, or a new one, is due after the start', () => {
  const jobs = [job('backup', '0 3 * * *'), job('drill', '0 4 * * *')];
  const { jobs: states } = initialState(jobs, yesterday(), NOON);
  for (const { due } of Object.values(states)) assert.is(due, NOON.toISOString());
});

test('a failure that its script can’t report is reported, again after an hour', () => {
  const [backup] = NIGHTLY as [(typeof NIGHTLY)[0]];
  const ended = (exitCode: number, minutes: number) =>
    finished(yesterday().jobs.backup!, exitCode, new Date(+NOON + minutes * 60_000));
  assert.match(failureOf(backup, ended(0, 0), ended(127, 5))!, /backup FAILED: exit status 127/);
  assert.is(failureOf(backup, ended(127, 0), ended(127, 60)), undefined);
  assert.ok(failureOf(backup, ended(127, 0), ended(127, 61)));
  assert.is(failureOf(backup, ended(0, 0), ended(1, 5)), undefined);
});

test.run();
