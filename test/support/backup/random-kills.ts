/** Runs of a script in which one of its processes, or of the server's, is killed at a random moment. */
import * as assert from 'uvu/assert';
import type { Random } from '../core/random.ts';
import { type Started, until } from '../core/world.ts';
import type { FaultedWorld } from './faulted.ts';
import { lockIsFree, processesOf, untilNoProcess } from './faults.ts';

type Script = [name: string, args: string[]];

/** A hundred of each script; fewer for a quick look. */
export const KILLS = Number(process.env.KILLS ?? 100);

const VICTIMS = ['script', 'program', 'backend'] as const;

/** What of PostgreSQL works for a script. */
const WORKING = `application_name = 'stack-scripts' AND backend_type = 'client backend'`;

/**
 * Kills runs with SIGKILL, at moments spread over the time that a whole run takes, and prints what came of them.
 *
 * @param lock whose lock must be free after each
 * @param then what must hold after each, and that the next run succeeds; says what the run left
 */
export async function randomKills(
  world: FaultedWorld,
  { script, runs, random, lock }: { script: Script; runs: number; random: Random; lock: string },
  then: (exit: number | null) => Promise<string>,
): Promise<void> {
  const seconds = await secondsOf(world, script);
  await then(0);
  const outcomes = new Map<string, number>();
  for (let run = 1; run <= runs; run++) {
    const milliseconds = random.below(Math.ceil(seconds * 1000));
    const kind = VICTIMS[random.below(VICTIMS.length)]!;
    const which = random.below(1000);
    const started = world.start(...script);
    let over = false;
    const end = started.ended.then(() => {
      over = true;
    });
    await Promise.race([new Promise(resolve => setTimeout(resolve, milliseconds)), end]);
    const killed = await killOne(world, started, kind, which, () => over);
    const { code, signal, stderr } = await started.ended;
    const what = `run ${run} (SEED=${random.seed}), ${killed} killed after ${milliseconds} ms`;
    try {
      await world.untilServing();
      await untilNoProcess(world);
      assert.ok(lockIsFree(world, lock), 'the lock is free');
      assert.not.match(stderr, /this is a bug/);
      if (signal !== 'SIGKILL' && code !== 0) assert.match(stderr, /^error: [\s\S]*\n {2}→ ./m);
      const left = await then(code);
      const outcome = `${killed} → ${signal ?? `exit ${code}`}, ${left}`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    } catch (error) {
      throw new Error(`${what}: ${(error as Error).message}\n${stderr}`, { cause: error });
    }
  }
  const lines = [...outcomes].sort(([a], [b]) => a.localeCompare(b));
  console.log(
    `${runs} kills of ${script[0]} (SEED=${random.seed}, a whole run takes ${seconds.toFixed(1)} s)`,
  );
  console.log(lines.map(([outcome, times]) => `${String(times).padStart(5)}  ${outcome}`).join('\n'));
}

/** @returns the seconds that a whole run takes, which succeeds */
async function secondsOf(world: FaultedWorld, script: Script): Promise<number> {
  const started = performance.now();
  const { code, stderr } = await world.run(...script);
  assert.is(code, 0, stderr);
  return (performance.now() - started) / 1000;
}

/** Kills one of a kind, as soon as there is one. @returns what was killed */
async function killOne(
  world: FaultedWorld,
  { child }: Started,
  kind: (typeof VICTIMS)[number],
  which: number,
  over: () => boolean,
): Promise<string> {
  if (kind === 'script') return child.kill('SIGKILL') ? 'script' : 'nothing';
  const named = async () =>
    kind === 'program'
      ? processesOf(world).filter(({ pid }) => pid !== child.pid)
      : (await world.backends(WORKING)).map(pid => ({ pid, name: 'backend' }));
  let found: { pid: number; name: string }[] = [];
  await until(`a ${kind} works, or the script has ended`, async () => {
    const all = over() ? [] : await named();
    // Each command has a bash that only watches for the script's end: too many of the victims would be that.
    const others = all.filter(({ name }) => name !== 'bash');
    found = which % 4 > 0 && others.length > 0 ? others : all;
    return found.length > 0 || over();
  });
  const victim = found[which % Math.max(found.length, 1)];
  if (!victim) return 'nothing';
  try {
    process.kill(victim.pid, 'SIGKILL');
  } catch {
    return 'nothing'; // it has ended meanwhile
  }
  return victim.name;
}
