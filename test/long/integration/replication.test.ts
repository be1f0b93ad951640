/** Replication slots after a restore: those of the kept database, and those at a publisher; whole restores beside leftovers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runDrill } from '../../../scripts/lib/drill/run-drill.ts';
import { detachSubscriptions } from '../../../scripts/lib/postgres/subscriptions.ts';
import { dropLeftovers } from '../../../scripts/lib/restore/swap.ts';
import { configOf } from '../../support/backup/old-backups.ts';
import { change, stateOf } from '../../support/core/expect.ts';
import { captured } from '../../support/core/here.ts';
import { finishHere, makeBackup, refused, restoreHere } from '../../support/core/in-process.ts';
import type { World } from '../../support/core/world.ts';
import { until } from '../../support/core/world.ts';
import { databases } from '../../support/postgres/compare.ts';
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
} from '../../support/postgres/replication.ts';

const { inTurn, stop } = await createReplicationTurns();

/** Makes a copy hold the name of the live slot, and refuse all: the worst that a killed run can leave. */
async function spoil(world: World, left: string): Promise<void> {
  await world.sql(
    `ALTER SUBSCRIPTION s SET (slot_name = ${SLOT});
     CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
     CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse();
     ALTER EVENT TRIGGER refuse ENABLE ALWAYS`,
    left,
  );
  const closed = `ALTER DATABASE ${left} ALLOW_CONNECTIONS false CONNECTION LIMIT 0 IS_TEMPLATE true`;
  await world.sql(closed, 'postgres');
}

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

test('a drill, a failed restore, and a copy under another name leave the subscription and its slot alone', () =>
  inTurn(async world => {
    await subscribe(world);
    await replicates(world, 1);
    await makeBackup(world);
    const live = { database: 'app', enabled: true, slot: SLOT };
    await runDrill(configOf(world, {}));
    await refused(() => restoreHere(world, 'latest', {}, { MIGRATE_COMMAND: 'exit 7' }), 1, /migrations/);
    assert.equal([await databases(world), await subscriptions(world)], [['app', 'pub'], [live]]);

    // A copy that a killed drill left, in the worst state: it holds the name of the live slot, and refuses all.
    const left = 'app_drill_20200101_000000';
    await restoreHere(world, 'latest', { database: left });
    assert.equal(await subscriptions(world), [live, { database: left, enabled: false, slot: null }]);
    await spoil(world, left);
    const done = await captured(() => runDrill(configOf(world, {})));
    assert.is(done.code, 0, done.error);
    assert.match(done.stderr, `dropping database ${left}`);
    assert.equal([await databases(world), await subscriptions(world)], [['app', 'pub'], [live]]);
    await replicates(world, 2);
  }));

test('a leftover that can’t be dropped is named with its reason and the command, and stops neither restore nor drill', () =>
  inTurn(async world => {
    await makeBackup(world);
    const [left, other] = ['app_new_20200101_000000', 'app_drill_20200101_000000'];
    for (const name of [left, other]) await world.sql(`CREATE DATABASE ${name}`, 'postgres');
    const consumer = await consume(world, left, 'reader');
    await world.sql(`BEGIN; CREATE TABLE t (i int); PREPARE TRANSACTION 'pending'`, other);
    try {
      const restored = await captured(() => restoreHere(world, 'latest'));
      assert.is(restored.code, 0, restored.error);
      assert.match(
        restored.stderr,
        new RegExp(
          `could not drop database ${left}: process \\d+ \\(pg_recvlogical\\) reads its replication slot reader`,
        ),
      );
      assert.match(
        restored.stderr,
        `→ stop that consumer, then: DROP DATABASE IF EXISTS "${left}" WITH (FORCE)`,
      );
      const drilled = await captured(() => runDrill(configOf(world, {})));
      assert.is(drilled.code, 0, drilled.error);
      assert.match(
        drilled.stderr,
        `could not drop database ${other}: it has a prepared transaction (pending)`,
      );
      const kept = restored.value!.kept!;
      assert.equal(await databases(world), ['app', kept, other, left]);
    } finally {
      await consumer.stop();
      await world.sql(`ROLLBACK PREPARED 'pending'`, other);
    }
    for (const kind of ['new', 'drill'] as const)
      assert.equal(await dropLeftovers(configOf(world, {}).postgres, kind), []);
    await finishHere(world);
    assert.equal([await databases(world), await slots(world)], [['app'], []]);
  }));

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
    const again = await restoreHere(world, undefined, { undo: true });
    await replicates(world, 6);
    assert.equal(
      [await itemsOf(world), await itemsOf(world, again.kept!)],
      [
        [1, 3, 4, 6],
        [1, 2, 5],
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
    await spoil(world, left);
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
