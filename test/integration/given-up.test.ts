/** What was given up does not happen later: the server goes on with a statement whose client is gone, unless it is ended. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runSql } from '../../scripts/lib/postgres/client.ts';
import { openSession } from '../../scripts/lib/postgres/session.ts';
import { swapIn } from '../../scripts/lib/restore/swap.ts';
import { stateOf } from '../support/core/expect.ts';
import { refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { kill, until } from '../support/core/world.ts';
import { throughDocker } from '../support/docker/exec-stub.ts';
import { databases } from '../support/postgres/compare.ts';
import { givenUp, restored, untilNothingRuns } from '../support/postgres/given-up.ts';
import { untilItWaits } from '../support/postgres/held-lock.ts';

const { inTurn, stop } = await createTurns();

test('an undo that gives up waiting for a lock names its holder, and is not done later', () =>
  inTurn(async world => {
    const kept = await restored(world);
    const { postgres } = world.pg;
    for (const locked of ['app', kept]) {
      const short = { lockSeconds: 0.3, attempts: 2, pauseSeconds: 0 };
      await givenUp(world, locked, async pid => {
        await refused(
          () => swapIn(postgres, 'app', kept, 'app_before_20990101_000000', short),
          1,
          /could not rename app_before_\d+_\d+ to app: .*lock timeout/,
          new RegExp(`held by process ${pid} \\(holder, postgres, active\\)`),
          /the live database is unchanged/,
        );
        assert.is(await stateOf(world), 'backed up', 'it takes new sessions');
      });
      assert.equal([await stateOf(world), await stateOf(world, kept)], ['backed up', 'live']);
    }
    await restoreHere(world, undefined, { undo: true });
    assert.is(await stateOf(world), 'live');
  }));

test('a session that holds a lock in the live database is ended for the swap', () =>
  inTurn(async world => {
    const kept = await restored(world);
    const holder = world.sql(`BEGIN; ALTER DATABASE app SET work_mem = '8MB'; SELECT pg_sleep(600)`);
    holder.catch(() => {});
    const sleeps = `SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'`;
    await until('the lock is held', async () => (await world.rows(sleeps)).length === 1);
    await restoreHere(world, undefined, { undo: true });
    assert.is(await stateOf(world), 'live');
    await holder.then(
      () => assert.unreachable('it still runs'),
      error => assert.match(error.message, /terminating connection/),
    );
    assert.is((await databases(world)).includes(kept), false);
  }));

/** With Ctrl-C, and of a restore that creates its database or loads: test/long/integration/given-up.test.ts. */
test('kill -9 while an undo waits for a lock: it is not done later', () =>
  inTurn(async world => {
    const kept = await restored(world);
    await givenUp(world, kept, async () => {
      const undo = world.start('restore', ['--undo', '--yes']);
      await untilItWaits(world, undo, 'BEGIN; ALTER DATABASE');
      await kill(undo);
      await untilNothingRuns(world);
    });
    assert.equal([await stateOf(world), await stateOf(world, kept)], ['backed up', 'live']);
  }));

test('no answer in time: the session is gone before the error, on this host and through docker exec', () =>
  inTurn(async world => {
    const options = {
      purpose: 'rename app',
      settings: '-c lock_timeout=0 -c statement_timeout=0',
      timeout: 0.7,
    };
    const { POSTGRES_CONTAINER, PATH } = throughDocker(world);
    const before = process.env.PATH;
    process.env.PATH = PATH;
    try {
      for (const container of [undefined, POSTGRES_CONTAINER]) {
        const postgres = { ...world.pg.postgres, container };
        await givenUp(world, 'app', () =>
          refused(
            () => runSql(postgres, 'postgres', 'ALTER DATABASE app RENAME TO b', options),
            1,
            /could not rename app: no answer in 0.7 s$/m,
          ),
        );
      }
    } finally {
      process.env.PATH = before;
    }
  }));

test('a statement that fails in an open session says so, on this host and through docker exec', () =>
  inTurn(async world => {
    const before = process.env.PATH;
    const { POSTGRES_CONTAINER, PATH } = throughDocker(world);
    process.env.PATH = PATH;
    try {
      for (const container of [undefined, POSTGRES_CONTAINER]) {
        const session = openSession({ ...world.pg.postgres, container }, 'app');
        assert.equal(await session.query('SELECT 1 AS value'), [{ value: 1 }]);
        await refused(
          () => session.execute('SELECT 1/0'),
          1,
          /^could not keep a session with app: .*division by zero/,
        );
      }
    } finally {
      process.env.PATH = before;
    }
  }));

test('a limit of this program is one of the server, too: the server says what it waited for', () =>
  inTurn(async world => {
    const { postgres } = world.pg;
    const timeout = 8; // a tenth of it is for the start of psql
    await givenUp(world, 'app', async () => {
      const lock = runSql(postgres, 'postgres', 'DROP DATABASE app', { purpose: 'drop app', timeout });
      const slow = runSql(postgres, 'postgres', 'SELECT pg_sleep(600)', { purpose: 'sleep', timeout });
      await Promise.all([
        refused(() => lock, 1, /could not drop app: .*canceling statement due to lock timeout/),
        refused(() => slow, 1, /could not sleep: .*canceling statement due to statement timeout/),
      ]);
    });
  }));

test('the servers stop', stop);

test.run();
