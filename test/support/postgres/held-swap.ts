/** Swaps of databases that something holds up. */
import { spawn } from 'node:child_process';
import * as assert from 'uvu/assert';
import { pauseProgram } from '../core/pause.ts';
import { until, type World } from '../core/world.ts';

/** A statement of each swap. */
export const SWAP = 'RENAME TO';

/** Runs restore.ts while a session of the live database can't be ended, and ends the script meanwhile: it swaps all the same. */
export async function restoreHeldUp(world: World, args: string[]): Promise<void> {
  const active = (where: string) =>
    world.rows<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE state = 'active' AND ${where}`,
      'postgres',
    );
  const { POSTGRES_USER, POSTGRES_PASSWORD, ...env } = world.env;
  const client = spawn('psql', ['-qXAtd', 'app', '-c', 'SELECT pg_sleep(600)'], {
    env: { ...env, PGUSER: POSTGRES_USER, PGPASSWORD: POSTGRES_PASSWORD, PGAPPNAME: 'stuck' },
    stdio: 'ignore',
  });
  const stuck = () => active(`application_name = 'stuck'`);
  await until('the client is at work', async () => (await stuck()).length === 1);
  const [{ pid }] = (await stuck()) as [{ pid: number }];
  const renames = async () => (await active(`query LIKE 'BEGIN; ALTER DATABASE%'`)).length;
  const pause = pauseProgram(world, 'psql', SWAP, 'before');
  const restore = world.start('restore', args, pause.env);
  try {
    await pause.reached(restore);
    process.kill(pid, 'SIGSTOP'); // a backend that hangs in the kernel, as on a dead disk
    pause.go();
    await until('the swap waits', async () => (await renames()) > 0);
    restore.child.kill('SIGTERM');
    await until('the swap waits still', async () => (await renames()) > 0);
  } finally {
    process.kill(pid, 'SIGCONT');
    client.kill('SIGKILL');
  }
  const ended = await restore.ended;
  assert.is(ended.code, 0, ended.stderr);
  await until('the server is done with the swap, too', async () => (await renames()) === 0);
}
