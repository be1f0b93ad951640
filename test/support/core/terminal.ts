import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { until, type World } from './world.ts';

/** A script on a terminal of its own. */
export interface Terminal {
  /** Of the program that holds the terminal: its end hangs up. */
  pid: number;
  /** All that the terminal has shown. */
  shown: () => string;
  shows: (pattern: RegExp) => Promise<void>;
  /** Presses keys. Enter is `\r`, Ctrl+C `\x03`, Ctrl+D `\x04`. */
  type: (keys: string) => void;
  /** Resolves with the script's exit code. */
  ended: Promise<number | null>;
}

/**
 * Starts a script on a pseudo-terminal of 80 columns, which script(1) of util-linux makes.
 * @param world its `root` has the scripts; default: this repository
 */
export function startOnTerminal(
  world: Pick<World, 'env'> & { root?: string },
  script: string,
  args: string[],
  env: Record<string, string> = {},
): Terminal {
  const line = [join(world.root ?? ROOT, `scripts/${script}.ts`), ...args].map(word => `'${word}'`).join(' ');
  const child = spawn(
    'script',
    ['--quiet', '--return', '--command', `stty cols 80; exec ${line}`, '/dev/null'],
    {
      env: { ...world.env, TERM: 'xterm', SHELL: '/bin/sh', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  let shown = '';
  child.stdout.on('data', (text: Buffer) => {
    shown += text;
  });
  child.stdin.on('error', () => {}); // it has ended
  let over = false;
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', code => {
      over = true;
      resolve(code);
    });
  });
  return {
    pid: child.pid!,
    shown: () => shown,
    shows: pattern =>
      until(
        `the terminal shows ${pattern}`,
        () => {
          if (pattern.test(shown)) return true;
          if (over) throw new Error(`the script ended before it showed ${pattern}:\n${shown}`);
          return false;
        },
        60,
      ),
    type: keys => void child.stdin.write(keys),
    ended,
  };
}
