import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cronTimes, lastTime, nextTime } from '../../scripts/lib/core/cron.ts';

const DUE = Date.parse('2026-01-02T02:00:00Z');
const DAY = 24 * 3600 * 1000;

test('the next and the last time of an instant: at the due time and a millisecond before and after it', () => {
  for (const offset of [-1000, -1, 0, 1, 1000]) {
    const instant = new Date(DUE + offset);
    assert.is(nextTime('0 2 * * *', instant).getTime(), offset < 0 ? DUE : DUE + DAY, `${offset}`);
    assert.is(lastTime('0 2 * * *', instant).getTime(), offset < 0 ? DUE - DAY : DUE, `${offset}`);
  }
});

test('an instant has the same times whatever was asked before: later, earlier, in another interval', () => {
  const hours = [0, 1, 30, 2, 1, -40, -41, 26, 0];
  for (const expression of ['0 2 * * *', '*/7 * * * *', '30 3 1 * 0']) {
    for (const hour of hours) {
      const instant = new Date(DUE + hour * 3600 * 1000);
      const last = cronTimes(expression, new Date(instant.getTime() + 1)).prev();
      assert.is(lastTime(expression, instant).getTime(), last.getTime(), `${expression}, ${hour} h`);
      const next = cronTimes(expression, instant).next();
      assert.is(nextTime(expression, instant).getTime(), next.getTime(), `${expression}, ${hour} h`);
    }
  }
});

test.run();
