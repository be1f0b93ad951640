import { type Started, until, type World } from '../core/world.ts';

/** A session of another program in an open transaction. */
export interface HeldLock {
  pid: number;
  /** Ends it and waits until its lock is free. */
  release: () => Promise<void>;
}

/** Locks a database as an open `ALTER DATABASE` or `COMMENT ON DATABASE` does: it can't be renamed, dropped or copied. */
export async function holdLock(world: World, database: string): Promise<HeldLock> {
  const sql = `SET application_name = 'holder'; BEGIN; COMMENT ON DATABASE "${database}" IS 'held'; SELECT pg_sleep(600)`;
  const session = world.sql(sql, 'postgres').catch(() => {}); // it is ended below
  const find = () =>
    world.rows<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'holder' AND wait_event = 'PgSleep'`,
      'postgres',
    );
  await until('the lock is held', async () => (await find()).length === 1);
  const [{ pid }] = (await find()) as [{ pid: number }];
  return {
    pid,
    release: async () => {
      await world.sql(`SELECT pg_terminate_backend(${pid}, 60000)`, 'postgres');
      await session;
    },
  };
}

/** @returns the statements of the scripts that the server executes, or waits to execute */
export const statementsOfScripts = async (world: World, where = 'true'): Promise<string[]> =>
  (
    await world.rows<{ query: string }>(
      `SELECT query FROM pg_stat_activity
       WHERE application_name LIKE 'stack-scripts%' AND pid <> pg_backend_pid() AND state = 'active' AND ${where}`,
      'postgres',
    )
  ).map(({ query }) => query);

/** Waits until a statement of a script that starts so waits for a lock. @throws if the script ends before */
export async function untilItWaits(world: World, script: Started, start: string): Promise<void> {
  let over = false;
  void script.ended.then(() => {
    over = true;
  });
  const waiting = async () => {
    const statements = await statementsOfScripts(world, `wait_event_type = 'Lock'`);
    return statements.some(query => query.startsWith(start));
  };
  await until(`${start} waits for a lock`, async () => over || (await waiting()));
  if (over) throw new Error(`it ended before it waited for a lock:\n${script.stderr()}`);
}
