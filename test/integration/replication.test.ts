/**
 * A copy beside the live database does not replicate, and can be dropped without a trace at the publisher. With slots of its
 * own, and with more restores: test/long/integration/replication.test.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { finishHere, makeBackup, restoreHere } from '../support/core/in-process.ts';
import { databases } from '../support/postgres/compare.ts';
import {
  createReplicationTurns,
  itemsOf,
  publish,
  replicates,
  SLOT,
  statementsIn,
  subscribe,
  subscriptions,
} from '../support/postgres/replication.ts';

const { inTurn, stop } = await createReplicationTurns();

test('after a restore the kept database does not replicate; the lines say how the live one does again; undo takes both back', () =>
  inTurn(async world => {
    await subscribe(world);
    await replicates(world, 1);
    await makeBackup(world, { upload: false });
    await replicates(world, 2);

    const { kept, replication } = await restoreHere(world, 'latest');
    assert.equal(await subscriptions(world), [
      { database: 'app', enabled: false, slot: SLOT },
      { database: kept, enabled: false, slot: SLOT },
    ]);
    assert.match(replication!.join('\n'), `subscription s of the kept database ${kept} is disabled`);
    await publish(world, 3);
    const resume = replication!.find(line => line.startsWith('or, to go on from its slot'))!;
    for (const statement of statementsIn(resume)) await world.sql(statement);
    await replicates(world, 4);
    assert.equal(
      [await itemsOf(world), await itemsOf(world, kept!)],
      [
        [1, 3, 4],
        [1, 2],
      ],
    );

    const undone = await restoreHere(world, undefined, { undo: true });
    assert.match(undone.replication!.join('\n'), 'subscription s of app is enabled again');
    await replicates(world, 5);
    assert.equal(
      [await itemsOf(world), await itemsOf(world, undone.kept!)],
      [
        [1, 2, 5],
        [1, 3, 4],
      ],
    );

    assert.equal((await finishHere(world)).replication, []);
    assert.equal(await databases(world), ['app', 'pub']);
    await replicates(world, 7);
  }));

test('the servers stop', stop);

test.run();
