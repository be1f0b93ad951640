import { readdirSync } from 'node:fs';
import * as assert from 'uvu/assert';
import type { Format } from '../../../scripts/lib/backup/manifest.ts';
import { begin, change, stateOf } from '../core/expect.ts';
import { checkHere, finishHere, makeBackup, restoreHere } from '../core/in-process.ts';
import { createWorld, type Ended, type Started, until, type World } from '../core/world.ts';
import { databases } from '../postgres/compare.ts';
import { type Gate, gateAtStep, lockIsFree, otherDatabases, strayFiles, untilNoProcess } from './faults.ts';

const ROWS = 8000;

/** Left by a fault for the next run to remove. */
interface Left {
  files?: string[];
  databases?: number;
}

type Script = [name: string, args: string[]];

/**
 * A world whose live database has rows enough to be stopped in the middle of, and the means to harm runs in it. Its
 * state is `live`; that of every backup is `backed up`.
 */
export interface FaultedWorld extends World {
  /** Makes a backup. @returns its id */
  backUp: (format: Format) => Promise<string>;
  /** What every fault must leave: all rows, no process, no stray file, no other database, a free lock. */
  assertClean: (left?: Left) => Promise<void>;
  /** Asserts that the live database is whole, either the old one or, with the old one kept, the restored one. */
  oldOrNew: () => Promise<'old' | 'new'>;
  assertNextBackupWorks: () => Promise<void>;
  /** Restores, finds both states where they belong, and drops what the restore keeps. */
  assertNextRestoreWorks: (wanted: string) => Promise<void>;
  /** Starts a script, waits until it stands at the gate, does what `fault` does, and waits for its end. */
  faultAt: (
    gate: Pick<Gate, 'env' | 'reached'> & Partial<Gate>,
    script: Script,
    fault: (started: Started) => unknown,
  ) => Promise<Ended>;
  /**
   * Kills runs of a script, each at one step further on, until one gets to its end.
   * @param then what must hold after each kill
   * @returns how many steps there were
   */
  killAtEveryStep: (script: Script, then: (step: number) => Promise<void>) => Promise<number>;
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

  await begin(world, 'live');

  const backUp: FaultedWorld['backUp'] = async format => {
    await change(world, 'backed up');
    const { id } = await makeBackup(world, { format });
    await change(world, 'live');
    return id;
  };

  const assertAllRows = async () =>
    assert.is((await world.rows<{ rows: number }>('SELECT count(*) AS rows FROM t'))[0]!.rows, ROWS);

  const assertClean: FaultedWorld['assertClean'] = async ({ files = [], databases = 0 } = {}) => {
    await untilNoProcess(world);
    assert.ok(lockIsFree(world), 'the lock is free');
    assert.equal(strayFiles(world), files);
    assert.is((await otherDatabases(world)).length, databases, 'other databases');
    await assertAllRows();
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
    oldOrNew: async () => {
      const others = await otherDatabases(world);
      const kept = others.filter(name => name.startsWith('app_before_'));
      const swapped = kept.length > 0;
      assert.ok(others.length <= 1, others.join());
      assert.is(await stateOf(world), swapped ? 'backed up' : 'live');
      if (swapped) assert.is(await stateOf(world, kept[0]), 'live');
      await assertAllRows();
      return swapped ? 'new' : 'old';
    },
    assertNextBackupWorks: async () => {
      const id = await backUp('plain');
      await assertClean();
      assert.is(await checkHere(world, id, {}, 'local'), id);
      assert.is(await checkHere(world, id, {}, 's3'), id);
    },
    assertNextRestoreWorks: async wanted => {
      await change(world, 'live');
      const { restored, kept } = await restoreHere(world, wanted);
      assert.is(restored, wanted);
      assert.equal([await stateOf(world), await stateOf(world, kept!)], ['backed up', 'live']);
      await finishHere(world);
      assert.equal(await databases(world), ['app']);
      await assertClean();
      await change(world, 'live');
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
    killAtEveryStep: async ([name, args], then) => {
      for (let step = 1; ; step++) {
        const gate = gateAtStep(world, step);
        const started = world.start(name, args, gate.env);
        let over = false;
        void started.ended.then(() => {
          over = true;
        });
        await until(`step ${step} or the end`, () => over || gate.stands(), 120);
        const ranToItsEnd = over;
        started.child.kill('SIGKILL');
        const { code, stderr } = await started.ended;
        if (ranToItsEnd) {
          assert.is(code, 0, stderr);
          return step - 1;
        }
        await untilNoProcess(world);
        assert.ok(lockIsFree(world), `step ${step}`);
        await then(step);
      }
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
