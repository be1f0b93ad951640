/** What a script gives up while a lock keeps it waiting must not happen later. */
import * as assert from 'uvu/assert';
import { begin } from '../core/expect.ts';
import { until, type World } from '../core/world.ts';
import { databases } from './compare.ts';
import { holdLock, statementsOfScripts } from './held-lock.ts';

/** Waits until the server executes nothing of a script that was killed. */
export const untilNothingRuns = (world: World) =>
  until('its session ends', async () => (await statementsOfScripts(world)).length === 0, 20);

/** As after a restore: the live database is the restored one, and the one that it replaced is kept. */
export async function restored(world: World): Promise<string> {
  const kept = 'app_before_20260101_000000';
  await begin(world);
  await world.sql(`CREATE DATABASE ${kept} STRATEGY FILE_COPY`, 'postgres');
  await world.sql(`CREATE TABLE state AS SELECT 'live' AS name`, kept);
  return kept;
}

/**
 * Gives something up while a database is locked: nothing of it goes on in the server then, and with the lock free each name
 * still means the same database.
 */
export async function givenUp(world: World, locked: string, attempt: (holder: number) => Promise<unknown>) {
  const names = await databases(world);
  const { pid, release } = await holdLock(world, locked);
  try {
    await attempt(pid);
    assert.equal(await statementsOfScripts(world), []);
    const holders = `SELECT FROM pg_stat_activity WHERE pid = ${pid}`;
    assert.is((await world.rows(holders, 'postgres')).length, 1, 'no other session is ended');
  } finally {
    await release();
  }
  assert.equal(await databases(world), names);
}
