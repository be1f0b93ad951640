/**
 * A copy beside the live database does not replicate, and can be dropped without a trace at the publisher. With slots of its
 * own, and with more restores: test/long/integration/replication.test.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runDrill } from '../../scripts/lib/drill/run-drill.ts';
import { detachSubscriptions } from '../../scripts/lib/postgres/subscriptions.ts';
import { dropLeftovers } from '../../scripts/lib/restore/swap.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { captured } from '../support/core/here.ts';
import { finishHere, makeBackup, restoreHere } from '../support/core/in-process.ts';
import { databases } from '../support/postgres/compare.ts';
import {
  consume,
  createReplicationTurns,
  itemsOf,
  publish,
  replicates,
  SLOT,
  slots,
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

test('a drill leaves the subscription and its slot alone, also beside copies that killed ones left, of which it names what can’t be dropped', () =>
  inTurn(async world => {
    const { postgres } = configOf(world, {});
    await subscribe(world);
    await replicates(world, 1);
    await makeBackup(world);
    const live = { database: 'app', enabled: true, slot: SLOT };

    // A copy that a killed drill left, in the worst state: it holds the name of the live slot, and refuses all.
    const [left, other, read] = [
      'app_drill_20200101_000000',
      'app_drill_20200102_000000',
      'app_new_20200101_000000',
    ] as const;
    for (const name of [left, other, read]) await world.sql(`CREATE DATABASE ${name}`, 'postgres');
    const { host, port, user, password } = postgres;
    await world.sql(
      `CREATE SUBSCRIPTION s CONNECTION 'host=${host} port=${port} user=${user} password=${password} dbname=pub'
        PUBLICATION p WITH (connect = false, slot_name = '${SLOT}')`,
      left,
    );
    assert.equal(await detachSubscriptions(postgres, left), ['s']);
    assert.equal(await subscriptions(world), [live, { database: left, enabled: false, slot: null }]);
    await world.sql(
      `ALTER SUBSCRIPTION s SET (slot_name = ${SLOT});
       CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
       CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse();
       ALTER EVENT TRIGGER refuse ENABLE ALWAYS`,
      left,
    );
    const closed = `ALTER DATABASE ${left} ALLOW_CONNECTIONS false CONNECTION LIMIT 0 IS_TEMPLATE true`;
    await world.sql(closed, 'postgres');
    const consumer = await consume(world, read, 'reader');
    await world.sql(`BEGIN; CREATE TABLE t (i int); PREPARE TRANSACTION 'pending'`, other);
    try {
      const done = await captured(() => runDrill(configOf(world, {})));
      assert.is(done.code, 0, done.error);
      assert.match(done.stderr, `dropping database ${left}`);
      assert.match(done.stderr, `could not drop database ${other}: it has a prepared transaction (pending)`);
      const restored = await captured(() => dropLeftovers(postgres, 'new'));
      assert.equal(restored.value, [read]);
      const reads = `could not drop database ${read}: process \\d+ \\(pg_recvlogical\\) reads its replication slot reader`;
      assert.match(restored.stderr, new RegExp(reads));
      assert.match(
        restored.stderr,
        `→ stop that consumer, then: DROP DATABASE IF EXISTS "${read}" WITH (FORCE)`,
      );
      assert.equal(
        [await databases(world), await subscriptions(world)],
        [['app', other, read, 'pub'], [live]],
      );
    } finally {
      await consumer.stop();
      await world.sql(`ROLLBACK PREPARED 'pending'`, other);
    }
    for (const kind of ['new', 'drill'] as const) assert.equal(await dropLeftovers(postgres, kind), []);
    assert.equal([await databases(world), await slots(world)], [['app', 'pub'], [SLOT]]);
    await replicates(world, 2);
  }));

test('the servers stop', stop);

test.run();
