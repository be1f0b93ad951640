/** Rotations that are killed twice or disturbed, at more points than test/integration/rotate-steps.test.ts has. */
import { test } from 'uvu';
import { disturb, killTwice } from '../../support/deploy/rotation-ends.ts';

test('killed twice, at each pair of changes of a step', () =>
  killTwice(['APP_DB_PASSWORD', 'JWT_SECRET'], 3));

for (const trouble of ['SIGINT', 'fails'] as const)
  test(`${trouble} at every third command`, () =>
    disturb(['APP_DB_PASSWORD', 'REDIS_PASSWORD', 'JWT_SECRET'], trouble));

test.run();
