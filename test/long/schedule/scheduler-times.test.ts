/* Many moments around a due time; test/schedule/scheduler-times.test.ts has some. */
import { test } from 'uvu';
import { assertRunsAtOnce, assertStarts } from '../../support/schedule/tables.ts';

process.stderr.write = () => true; // the scheduler's log; failures of tests are printed on stdout

const AROUND = [-1000, -999, -500, -100, ...Array.from({ length: 41 }, (_, i) => i - 20), 100, 999, 1000];

test('started at any moment around a due time, however slowly: the run that the table shows takes place', () =>
  assertStarts(AROUND, [0, 1, 19, 20, 21, 100, 999, 1000, 1001, 2500, 45_000, 119_999, 121_001, 300_000]));

test('however a due time falls between two looks at the clock, the job runs at once, and once', () =>
  assertRunsAtOnce(Array.from({ length: 60 }, (_, i) => i - 60)));

test.run();
