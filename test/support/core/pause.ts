import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quote } from 'zx/core';
import { type Ended, type Started, until, type World } from './world.ts';

export interface Pause {
  /** For the script whose programs pause. */
  env: Record<string, string>;
  /** Resolves when the program stands still; rejects when `run` ends before, with what it said. */
  reached: (run?: Started) => Promise<void>;
  /** Lets it go on. */
  go: () => void;
}

/**
 * Puts a program of this name before the real one on PATH, which stands still `before` the real one runs or
 * `after` it has, when its arguments hold `words`. Until then, and otherwise, it is the real one.
 *
 * @param status what it exits with instead of the real one's, after saying that the connection is lost
 */
export function pauseProgram(
  world: Pick<World, 'directory' | 'env'>,
  name: string,
  words: string,
  when: 'before' | 'after',
  status?: number,
): Pause {
  const directory = mkdtempSync(join(world.directory, 'pause-'));
  const [reached, go] = [join(directory, 'reached'), join(directory, 'go')];
  const pause = `: > ${quote(reached)}; until [ -e ${quote(go)} ]; do sleep 0.02; done`;
  const lost = `echo 'server closed the connection unexpectedly' >&2; exit ${status}`;
  const script = `#!/bin/bash
PATH=$\{PATH#*:}
[[ "$*" == *${quote(words)}* ]] || exec ${name} "$@"
${when === 'before' ? `${pause}; exec ${name} "$@"` : `${name} "$@"; s=$?; ${pause}; ${status === undefined ? 'exit "$s"' : lost}`}
`;
  writeFileSync(join(directory, name), script, { mode: 0o755 });
  return {
    env: { PATH: `${directory}:${world.env.PATH}` },
    async reached(run) {
      let over: Ended | undefined;
      void run?.ended.then(ended => {
        over = ended;
      });
      await until(`${name} is reached`, () => existsSync(reached) || over !== undefined, 300);
      if (!existsSync(reached)) throw new Error(`it ended before it reached ${name}:\n${over!.stderr}`);
    },
    go: () => writeFileSync(go, ''),
  };
}
