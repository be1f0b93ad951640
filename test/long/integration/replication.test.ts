/** Replication slots after a restore: those of the kept database, and those at a publisher. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { change, stateOf } from '../../support/core/expect.ts';
import { finishHere, makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import { until } from '../../support/core/world.ts';
import { databases } from '../../support/postgres/compare.ts';
import {
  consume,
  createReplicationTurns,
  itemsOf,
  publish,
  SLOT,
  slots,
  statementsIn,
  subscribe,
} from '../../support/postgres/replication.ts';

const { inTurn, stop } = await createReplicationTurns();

test('a slot that the swap leaves with the kept database is named; --finish drops it unless it is read', () =>
  inTurn(async world => {
    await makeBackup(world, { upload: false });
    await change(world, 'live');
    let consumer = await consume(world, 'app', 'out');
    try {
      const { kept, replication } = await restoreHere(world, 'latest');
      await until('the swap has cut it off', () => consumer.child.exitCode !== null);
      assert.match(replication!.join('\n'), `replication slot out belongs to the kept database ${kept}`);
      consumer = await consume(world, kept!, 'out');
      const older = 'app_before_20200101_000000';
      await world.sql(`CREATE DATABASE ${older}`, 'postgres');
      await refused(
        () => finishHere(world),
        1,
        new RegExp(`^dropped ${older}. could not drop database ${kept}: process \\d+ \\(pg_recvlogical\\)`),
        /stop that consumer, then: DROP DATABASE/,
      );
      assert.equal(await databases(world), ['app', kept]);
      assert.is(await stateOf(world, kept!), 'live');
    } finally {
      await consumer.stop();
    }
    await finishHere(world);
    assert.equal([await databases(world), await slots(world)], [['app'], []]);
  }));

test('the tables are copied again; --finish names a slot at the publisher that no subscription uses any longer', () =>
  inTurn(async world => {
    await subscribe(world);
    await makeBackup(world, { upload: false });
    await publish(world, 1);
    const { replication: lines } = await restoreHere(world, 'latest');
    const copy = lines!.find(line => line.startsWith('subscription s of app is disabled. To copy'))!;
    for (const statement of statementsIn(copy)) await world.sql(statement);
    await until('the row is copied', async () => (await itemsOf(world)).includes(1));
    await world.sql('ALTER SUBSCRIPTION s DISABLE');
    await world.sql('ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s');
    const { replication } = await finishHere(world);
    assert.match(replication!.join('\n'), `pg_drop_replication_slot('${SLOT}')`);
    assert.equal([await databases(world), await slots(world)], [['app', 'pub'], [SLOT]]);
  }));

test('the servers stop', stop);

test.run();
