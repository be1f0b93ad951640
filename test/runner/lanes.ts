/**
 * How many files run at once. Some compute and some wait, most do both by turns, and how much a machine can take is
 * not known before: so `MIN` run in any case, and another starts when the processors have been idle for a moment. Those
 * that mostly waited when they last ran do not count among the `MIN`.
 */
import { availableParallelism, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestFile } from './files.ts';

const CORES = Math.max(2, availableParallelism());
/** One more than there are processors, because each waits now and then for its server or its disk; see `loadOf`. */
const MIN = CORES + 1;
/** With more stacks than three at once, two processors have so much to do that what the tests wait for comes late. */
const MAX = CORES * 2;
/** A share of all processors' time. */
const IDLE = 0.12;
/** Between two looks. */
const LOOK_SECONDS = 1;

export interface Limits {
  min: number;
  max: number;
  /** Gives the share of the processors' time that was idle since it was called last. */
  idle: () => number;
  /** Seconds between two looks at it. */
  look: number;
}

/**
 * Runs all files, in their order as far as that is possible.
 *
 * @param mayRun whether a file can run already; asked again whenever something has changed
 * @param changed resolves when `mayRun` may have changed by itself
 */
export async function runAll(
  files: TestFile[],
  run: (file: TestFile) => Promise<void>,
  mayRun: (file: TestFile) => boolean,
  changed: Promise<unknown>,
  { min, max, idle, look }: Limits = { min: MIN, max: MAX, idle: idleShare(), look: LOOK_SECONDS },
): Promise<void> {
  const queue = [...files];
  const running = new Map<TestFile, Promise<void>>();
  const next = () => {
    const busy = new Set([...running.keys()].map(({ group }) => group));
    const index = queue.findIndex(file => mayRun(file) && !(file.group && busy.has(file.group)));
    return index === -1 ? undefined : queue.splice(index, 1)[0]!;
  };
  let once: Promise<unknown> | undefined = changed;
  void changed.then(() => {
    once = undefined;
  });
  while (queue.length > 0 || running.size > 0) {
    const share = idle();
    const load = () => [...running.keys()].reduce((sum, file) => sum + loadOf(file), 0);
    let more = load() < max && share > IDLE ? 1 : 0;
    while (load() < min || more-- > 0) {
      const file = next();
      if (!file) break;
      running.set(
        file,
        run(file).finally(() => running.delete(file)),
      );
    }
    const look_ = load() < max && queue.length > 0 ? [sleep(look * 1000)] : [];
    await Promise.race([...running.values(), ...look_, ...(once ? [once] : [])]);
  }
}

/** @returns as how many files one counts: of one with containers, the programs in them compute beside it */
function loadOf({ waits, needsEngine }: TestFile): number {
  if (waits) return 0;
  return needsEngine ? 1.5 : 1;
}

/** @returns what tells the idle share of all processors since its last call */
function idleShare(): () => number {
  let before = total();
  return () => {
    const now = total();
    const [idle, all] = [now.idle - before.idle, now.all - before.all];
    before = now;
    return all > 0 ? idle / all : 0;
  };
}

function total(): { idle: number; all: number } {
  const times = cpus().map(cpu => cpu.times);
  return {
    idle: times.reduce((sum, { idle }) => sum + idle, 0),
    all: times.reduce((sum, each) => sum + Object.values(each).reduce((a, b) => a + b, 0), 0),
  };
}
