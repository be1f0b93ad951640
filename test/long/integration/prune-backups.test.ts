import { test } from 'uvu';
import { createRetentionWorld } from '../../support/backup/retention.ts';
import { assertTrouble, TROUBLES } from '../../support/backup/retention-troubles.ts';

const retention = await createRetentionWorld();

for (const what of Object.keys(TROUBLES) as (keyof typeof TROUBLES)[])
  test(`the store has trouble with retention: ${what}`, () => assertTrouble(retention, what));

test('the servers stop', retention.stop);

test.run();
