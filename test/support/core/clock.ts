import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** When a process shows a pattern on stderr: the clock stops at a time, or runs, from a time or from the current one. */
export interface Turn {
  shows: string;
  stands?: string;
  goes?: string | true;
}

/** The clock of scripts, for as long as they have `env` in their environment. */
export interface TestClock {
  env: Record<string, string>;
  /** From now on it shows this time. */
  stand: (at: string) => void;
  /** It runs from this time. */
  go: (from: string) => void;
}

/** A clock that stands still until it is told otherwise, so that a slow machine has the same time as a fast one. */
export function createClock(path: string, at: string, turns: Turn[] = []): TestClock {
  const write = (text: string) => {
    writeFileSync(`${path}.next`, text);
    renameSync(`${path}.next`, path); // a script that looks meanwhile sees the one or the other
  };
  const clock: TestClock = {
    env: {
      NODE_OPTIONS: `--import=${join(import.meta.dirname, 'clock-file.ts')}`,
      CLOCK_FILE: path,
      CLOCK_TURNS: JSON.stringify(
        turns.map(({ shows, stands, goes }) => ({
          shows,
          ...(stands && { stands: Date.parse(stands) }),
          ...(typeof goes === 'string' && { goes: Date.parse(goes) }),
        })),
      ),
    },
    stand: time => write(`stands ${Date.parse(time)}`),
    go: from => write(`goes ${Date.parse(from) - Date.now()}`),
  };
  clock.stand(at);
  return clock;
}
