import { until, type World } from '../core/world.ts';

/**
 * Renames a database that is not the live one. What was done in this process may have left a session that waits for the
 * next read: it is ended first.
 */
export async function renameDatabase(world: World, from: string, to: string): Promise<void> {
  const users = `FROM pg_stat_activity WHERE datname = '${from}'`;
  await world.sql(`SELECT pg_terminate_backend(pid) ${users}`);
  await until(`nobody uses ${from}`, async () => (await world.rows(`SELECT pid ${users}`)).length === 0);
  await world.sql(`ALTER DATABASE "${from}" RENAME TO "${to}"`);
}
