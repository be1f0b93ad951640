import { oidOf } from '../../../scripts/lib/postgres/databases.ts';
import { drop } from '../../../scripts/lib/postgres/drop.ts';
import type { FaultedWorld } from '../backup/faulted.ts';
import { type Gate, gateAt, otherDatabases, untilNoProcess } from '../backup/faults.ts';
import { type Ended, type Started, until } from '../core/world.ts';

/** A restore that loads a plain dump, in the middle of its rows. */
export const midLoad = (world: FaultedWorld): Gate =>
  gateAt(world, { program: 'psql', args: '--output=/dev/null', input: 100_000 });

const SWAPS = `query LIKE 'BEGIN; ALTER DATABASE%'`;
const HOLDS = `query LIKE 'BEGIN; COMMENT ON DATABASE%' AND wait_event = 'PgSleep'`;

/**
 * Brings a restore between its two renames and keeps it there: the first is done in the open transaction, the
 * second waits for a lock on the new database that the test holds.
 *
 * @param fault what happens there, to the script and to PostgreSQL's process that renames
 * @returns how the script ended, and the numbers of the live database and of the new one
 */
export async function betweenTheRenames(
  world: FaultedWorld,
  id: string,
  fault: (started: Started, backend: number) => unknown,
): Promise<Ended & { live: number; next: number }> {
  const { backends, faultAt } = world;
  for (const name of await otherDatabases(world)) await drop(world.pg.postgres, name);
  const gate = gateAt(world, { program: 'psql', args: 'BEGIN; ALTER DATABASE' });
  const live = (await oidOf(world.pg.postgres, world.database))!;
  let next = 0;
  const ended = await faultAt(gate, ['restore', [id, '--yes']], async started => {
    const [name] = await otherDatabases(world);
    next = (await oidOf(world.pg.postgres, name!))!;
    const hold = `BEGIN; COMMENT ON DATABASE "${name}" IS 'held'; SELECT pg_sleep(600); ROLLBACK`;
    const holder = world.sql(hold, 'postgres').catch(() => {}); // it is ended below
    await until('the lock is held', async () => (await backends(HOLDS)).length === 1);
    gate.open();
    const waiting = `${SWAPS} AND wait_event_type = 'Lock'`;
    await until('the second rename waits for it', async () => (await backends(waiting)).length === 1);
    await fault(started, (await backends(waiting))[0]!);
    await world.untilServing();
    await world.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${HOLDS}`, 'postgres');
    await holder;
  });
  await untilNoProcess(world);
  await until('the swap is over on the server', async () => (await backends(SWAPS)).length === 0);
  return { ...ended, live, next };
}
