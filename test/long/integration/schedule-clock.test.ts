/*
 * A clock that is set while the scheduler sleeps: no timer hears of it, so the scheduler looks every half minute. The
 * short tests turn the clock before it sleeps (test/integration/schedule-run.test.ts), or time itself (test/schedule/scheduler-times.test.ts).
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createClock } from '../../support/core/clock.ts';
import { createWorld } from '../../support/core/world.ts';

const world = await createWorld();

test('a clock that is set an hour forward is noticed at the next look, and the missed jobs run', async () => {
  const clock = createClock(`${world.directory}/clock`, '2027-03-01T01:30:00Z', [
    { shows: 'the schedule of production runs', goes: true },
  ]);
  Object.assign(world.env, clock.env, {
    S3_BUCKET: '',
    SCHEDULE_BACKUP: '0 2 * * *',
    SCHEDULE_HEALTH_CHECK: 'off',
    SCHEDULE_DRILL: 'off',
    SCHEDULE_CERTIFICATES: 'off',
    SCHEDULE_LOAD_CHECK: 'off',
    SCHEDULE_WEEKLY: 'off',
  });
  const scheduler = world.start('schedule', ['run']);
  try {
    await scheduler.shows(/the schedule of production runs/);
    clock.go('2027-03-01T02:30:00Z');
    await scheduler.shows(/^backup: starts late, was due 2027-03-01 02:00:00 UTC$/m);
    await scheduler.shows(/backup: ended with 0 after .*; next 2027-03-02 02:00:00 UTC/);
    scheduler.child.kill('SIGTERM');
    assert.is((await scheduler.ended).code, 143);
  } finally {
    scheduler.child.kill('SIGKILL');
  }
});

test('the servers stop', world.stop);

test.run();
