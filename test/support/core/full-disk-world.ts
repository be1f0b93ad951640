/** A world with a database that is too large for a small disk, and one that is not. */
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { otherDatabases } from '../backup/faults.ts';
import { executeHere } from '../cli/execute-here.ts';
import { makeBackup } from './in-process.ts';
import { createWorld, type Ended, type Started, type World } from './world.ts';

export const MIB = 1024 * 1024;

export async function createFullDiskWorld() {
  const ROWS = 450;
  const world = await createWorld();
  await world.sql('CREATE DATABASE small', 'postgres');
  await world.sql('CREATE TABLE t AS SELECT generate_series(1, 10) AS i', 'small');
  // 4 MB that no compressor makes smaller: more than preflight estimates, which is a quarter of the database.
  await world.sql(`CREATE TABLE t AS SELECT i, (SELECT string_agg(sha512(format('%s,%s', i, j)::bytea), '')
    FROM generate_series(1, 125) AS j) AS data FROM generate_series(1, ${ROWS}) AS i`);

  const whole = await makeBackup(world);
  world.env.S3_BUCKET = ''; // but for what fetches, what is off-site is no part of this

  /** Enough for preflight's estimate, not for the dump. */
  const TOO_SMALL = 3500 * 1024;
  /** For runs of which the data is not the point. */
  const SMALL = { POSTGRES_DB: 'small' };

  const disks = { number: 0 };
  /** A directory of its own for backups, logs or state, below the world's. */
  const at = () => join(world.directory, `disk-${++disks.number}`);
  /** The world as the scripts see it with another backup directory. */
  const inDirectory = (BACKUP_DIR: string): World => ({ ...world, env: { ...world.env, BACKUP_DIR } });

  /** All runs that can write the world's state directory, in order. */
  const runs: { script: string; exitCode: number | null; error: boolean }[] = [];

  function start(script: string, args: string[], env: Record<string, string>): Started {
    const started = world.start(script, args, env);
    const ended = started.ended.then(result => {
      runs.push({ script: `${script}.ts`, exitCode: result.code, error: result.code !== 0 });
      return result;
    });
    return { ...started, ended };
  }

  const run = (script: string, args: string[], env: Record<string, string>): Promise<Ended> =>
    start(script, args, env).ended;

  /** The same in this process, see {@link executeHere}. */
  async function here(script: string, args: string[], env: Record<string, string>): Promise<Ended> {
    const ended = await executeHere(script, args, { ...world.env, ...env });
    runs.push({ script: `${script}.ts`, exitCode: ended.code, error: ended.code !== 0 });
    return ended;
  }

  async function serves(): Promise<void> {
    assert.is((await world.rows<{ rows: number }>('SELECT count(*) AS rows FROM t'))[0]!.rows, ROWS);
    assert.equal(await otherDatabases(world), ['small']);
  }

  return { world, whole, TOO_SMALL, SMALL, at, inDirectory, runs, start, run, here, serves };
}
