import { readdirSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { type Gate, lockIsFree, otherDatabases, strayFiles, untilNoProcess } from './faults.ts';
import { createWorld, type Ended, type Started, until, type World } from './world.ts';

const ROWS = 20_000;

/** Left by a fault for the next run to remove. */
interface Left {
  files?: string[];
  databases?: number;
}

type Script = [name: string, args: string[]];

/** A world whose live database has rows enough to be stopped in the middle of, and the means to harm runs in it. */
export interface FaultedWorld extends World {
  /** Makes a backup. @returns its id */
  backUp: (format: string) => Promise<string>;
  /** What every fault must leave: all rows, no process, no stray file, no other database, a free lock. */
  assertClean: (left?: Left) => Promise<void>;
  assertNextBackupWorks: () => Promise<void>;
  /** Restores, and drops what the restore keeps. */
  assertNextRestoreWorks: (wanted?: string) => Promise<void>;
  /** Starts a script, waits until it stands at the gate, does what `fault` does, and waits for its end. */
  faultAt: (
    gate: Pick<Gate, 'env' | 'reached'> & Partial<Gate>,
    script: Script,
    fault: (started: Started) => unknown,
  ) => Promise<Ended>;
  /** @returns PostgreSQL's processes whose entry in pg_stat_activity is so */
  backends: (where: string) => Promise<number[]>;
  /** Kills one of PostgreSQL's processes, and waits until the server has recovered. */
  killBackend: (where: string) => Promise<void>;
  untilServing: () => Promise<void>;
}

export async function createFaultedWorld(): Promise<FaultedWorld> {
  const world = await createWorld();
  await world.sql(`CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, ${ROWS}) AS i;
    CREATE INDEX ON t (text); ALTER TABLE t ADD PRIMARY KEY (i)`);

  const backUp: FaultedWorld['backUp'] = async format => {
    const made = await world.run('backup', ['--format', format, '--json']);
    assert.is(made.code, 0, made.stderr);
    return JSON.parse(made.stdout).backup.id;
  };

  const assertClean: FaultedWorld['assertClean'] = async ({ files = [], databases = 0 } = {}) => {
    await untilNoProcess(world);
    assert.ok(lockIsFree(world), 'the lock is free');
    assert.equal(strayFiles(world), files);
    assert.is((await otherDatabases(world)).length, databases, 'other databases');
    assert.is((await world.rows<{ rows: number }>('SELECT count(*) AS rows FROM t'))[0]!.rows, ROWS);
  };

  const backends: FaultedWorld['backends'] = async where => {
    const sql = `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND ${where}`;
    return (await world.rows<{ pid: number }>(sql, 'postgres')).map(({ pid }) => pid);
  };

  const untilServing = () =>
    until(
      'PostgreSQL serves',
      () =>
        world.rows('SELECT 1', 'postgres').then(
          () => true,
          () => false,
        ),
      60,
    );

  return {
    ...world,
    backUp,
    assertClean,
    backends,
    untilServing,
    assertNextBackupWorks: async () => {
      const id = await backUp('plain');
      await assertClean();
      const check = await world.run('verify-backup', [id]);
      assert.is(check.code, 0, check.stderr);
    },
    assertNextRestoreWorks: async (wanted = 'latest') => {
      const next = await world.run('restore', [wanted, '--yes']);
      assert.is(next.code, 0, next.stderr);
      const finish = await world.run('restore', ['--finish', '--yes']);
      assert.is(finish.code, 0, finish.stderr);
      await assertClean();
    },
    faultAt: async (gate, [name, args], fault) => {
      const started = world.start(name, args, gate.env);
      const early = started.ended.then(({ stderr }) => {
        throw new Error(`it ended before the gate:\n${stderr}`);
      });
      early.catch(() => {});
      try {
        await Promise.race([gate.reached(), early]);
        await fault(started);
      } catch (error) {
        started.child.kill('SIGKILL');
        throw error;
      }
      if (!started.child.killed) gate.open?.(); // else what stands there is to be ended by the script's end
      return started.ended;
    },
    killBackend: async where => {
      await until(`a backend where ${where}`, async () => (await backends(where)).length === 1);
      process.kill((await backends(where))[0]!, 'SIGKILL');
      await untilServing();
    },
  };
}

/** Starts a server again that was killed: until its last child is gone it refuses. */
export async function startAgain(world: World): Promise<void> {
  await until(
    'PostgreSQL starts again',
    () =>
      world.pg.resume().then(
        () => true,
        () => false,
      ),
    60,
  );
}

/** @returns how many backups are whole in the backup directory */
export function manifests(world: World): number {
  return readdirSync(world.env.BACKUP_DIR!).filter(name => name.endsWith('.json')).length;
}
