import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { swapIn } from '../../scripts/lib/restore/swap.ts';
import { begin, stateOf } from '../support/core/expect.ts';
import { finishHere, makeBackup, restoreHere } from '../support/core/in-process.ts';
import { pauseProgram } from '../support/core/pause.ts';
import { createTurns } from '../support/core/turns.ts';
import { until, type World } from '../support/core/world.ts';
import { databases } from '../support/postgres/compare.ts';
import { restored } from '../support/postgres/given-up.ts';
import { restoreHeldUp, SWAP } from '../support/postgres/held-swap.ts';
import { startWriters } from '../support/postgres/writers.ts';

const { inTurn, stop } = await createTurns({ env: { S3_BUCKET: '' } }); // what is off-site is no part of this

/** The world as a script sees it that is started with other variables, too. */
const withEnv = (world: World, env: Record<string, string>): World => ({
  ...world,
  env: { ...world.env, ...env },
});

const idsIn = async (world: World, database: string) =>
  new Set((await world.rows<{ id: string }>('SELECT id FROM t', database)).map(({ id }) => id));

test('clients that keep writing and reconnecting lose nothing and are cut off for the swap alone', () =>
  inTurn(async world => {
    await world.sql('CREATE TABLE t (id text PRIMARY KEY)');
    await makeBackup(world, { format: 'custom', upload: false });
    const writers = startWriters(world, { holding: 2, reconnecting: 1 });
    try {
      await writers.acknowledge(15);
      const pause = pauseProgram(world, 'psql', SWAP, 'before');
      const restore = restoreHere(withEnv(world, pause.env), 'latest', { 'allow-small': true });
      await pause.reached();
      await writers.acknowledge(15);
      assert.equal(writers.failures, [], 'nobody is disturbed before the swap');
      const before = [...writers.acknowledged];
      pause.go();
      const kept = (await restore).kept!;
      const clients = ['holding0', 'holding1', 'reconnecting0'];
      await until('every client writes to the restored database', async () => {
        const ids = await idsIn(world, 'app');
        return clients.every(client => [...ids].some(id => id.startsWith(`${client}-`)));
      });
      const disturbed = writers.failures.length;
      await writers.acknowledge(15);
      assert.is(writers.failures.length, disturbed, 'nobody is disturbed after it');
      await writers.stop();

      const [old, restored] = [await idsIn(world, kept), await idsIn(world, 'app')];
      assert.equal(
        before.filter(id => !old.has(id)),
        [],
        'all that was acknowledged before is in the kept one',
      );
      assert.equal(
        writers.acknowledged.filter(id => !old.has(id) && !restored.has(id)),
        [],
      );
      assert.not.ok(
        before.some(id => restored.has(id)),
        'the restored one is what was backed up',
      );
      assert.ok(writers.failures.length >= 2, 'sessions were ended');
      for (const { message } of writers.failures) {
        assert.match(message, /terminating connection|server closed|database "app" does not exist/);
      }

      await restoreHere(world, undefined, { undo: true });
      const undone = await idsIn(world, 'app');
      assert.equal(
        before.filter(id => !undone.has(id)),
        [],
      );
    } finally {
      await writers.stop();
    }
  }));

const [NEXT, KEPT] = ['app_new_20260101_000000', 'app_before_20260101_000000'] as const;

/** Swaps in this process, with a psql that stands still at the swap. @param status as of {@link pauseProgram} */
function paused(world: World, when: 'before' | 'after', swap: () => Promise<unknown>, status?: number) {
  const { env, ...pause } = pauseProgram(world, 'psql', SWAP, when, status);
  const { PATH } = process.env;
  process.env.PATH = env.PATH;
  const done = swap().finally(() => {
    process.env.PATH = PATH;
  });
  return { ...pause, done };
}

/** Killed meanwhile: test/long/integration/kill-restore.test.ts. Of a whole restore: test/long/integration/swap.test.ts. */
test('a session that can’t be ended holds up the swap, and SIGTERM does not take back the decision', () =>
  inTurn(async world => {
    const replaced = await restored(world);
    await restoreHeldUp(world, ['--undo', '--yes']);
    const [live, kept, ...others] = await databases(world);
    assert.equal([live, others], ['app', []]);
    assert.not.equal(kept, replaced);
    assert.equal([await stateOf(world), await stateOf(world, kept)], ['live', 'backed up']);
    await finishHere(world);
    assert.equal(await databases(world), ['app']);
  }));

/** A prepared transaction, before anything is done: leftovers.test.ts; at the swap: test/long/integration/swap.test.ts. */
test('a connection lost at the commit: the server says what happened', () =>
  inTurn(async world => {
    await begin(world, 'live');
    await world.sql(`CREATE DATABASE ${NEXT} STRATEGY FILE_COPY`, 'postgres');
    await world.sql(`CREATE TABLE state AS SELECT 'restored' AS name`, NEXT);
    const swapping = paused(world, 'after', () => swapIn(world.pg.postgres, 'app', NEXT, KEPT), 2);
    swapping.go();
    await swapping.done;
    await swapping.reached();
    assert.equal([await stateOf(world), await stateOf(world, KEPT)], ['restored', 'live']);
    assert.equal(await databases(world), ['app', KEPT]);
  }));

test('the servers stop', stop);

test.run();
