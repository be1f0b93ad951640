import { constants } from 'node:os';
import { spawnGroup, templateOf } from './spawn.ts';

export interface Service {
  pid: number;
  /** Resolves with its exit status when it has ended; after a signal: 128 and the signal's number. */
  ended: Promise<number>;
  /** Sends a signal to its process group, SIGTERM by default, and waits for its end; sends SIGKILL after `seconds`, 10 by default. */
  stop: (signal?: NodeJS.Signals, seconds?: number) => Promise<void>;
}

/** Starts a program that runs until it is stopped, or until this process ends. Its output goes to the descriptor `log`. */
export function startService(
  argv: string[],
  { env = {}, log }: { env?: Record<string, string>; log: number },
): Service {
  const group = spawnGroup(templateOf(argv), { env, stdio: ['ignore', log, log] });
  const ended = (async () => {
    const { exitCode, signal } = await group.ended;
    return exitCode ?? 128 + (signal ? constants.signals[signal] : 0);
  })();
  return {
    pid: group.child.pid!,
    ended,
    stop: async (name = 'SIGTERM', seconds = 10) => {
      group.signal(name);
      const timer = setTimeout(() => group.signal('SIGKILL'), seconds * 1000);
      await ended;
      clearTimeout(timer);
    },
  };
}
