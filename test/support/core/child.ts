import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

export type End = { code: number | null; signal: NodeJS.Signals | null };

export type Child = {
  process: ChildProcess;
  /** All that it wrote so far, stdout and stderr. */
  output(): string;
  /** Resolves with the line that matches; rejects when the process ends without it, or after `seconds`, by default 120. */
  line(pattern: RegExp, seconds?: number): Promise<string>;
  /** Sends the signal, SIGTERM by default, and resolves with how the process ended. */
  stop(signal?: NodeJS.Signals): Promise<End>;
  exited: Promise<End>;
};

/** Starts a program and keeps its output. The caller stops it in `finally`. */
export function startChild(
  command: string,
  args: string[],
  options: SpawnOptions & { input?: string } = {},
): Child {
  const { input, ...rest } = options;
  const child = spawn(command, args, { ...rest, stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream!.setEncoding('utf8').on('data', text => {
      output += text;
      for (const listener of listeners) listener();
    });
  }
  child.stdin!.on('error', () => {}); // it may end without reading
  child.stdin!.end(input ?? '');

  const exited = new Promise<End>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  exited.catch(() => {}); // the error reaches the caller that awaits it

  function line(pattern: RegExp, seconds = 120): Promise<string> {
    return new Promise((resolve, reject) => {
      let from = 0; // whole lines before it have been looked at
      const look = () => {
        const end = output.lastIndexOf('\n') + 1;
        const found = output
          .slice(from, end)
          .split('\n')
          .find(text => pattern.test(text));
        from = end;
        if (found === undefined) return;
        listeners.delete(look);
        clearTimeout(limit);
        resolve(found);
      };
      const vain = () =>
        reject(new Error(`${command} has not written ${pattern} in ${seconds} s:\n${output}`));
      const limit = setTimeout(vain, seconds * 1000);
      exited.finally(() => clearTimeout(limit)).catch(() => {});
      listeners.add(look);
      look();
      exited.then(() => reject(new Error(`${command} ended without writing ${pattern}:\n${output}`)), reject);
    });
  }

  return {
    process: child,
    output: () => output,
    line,
    exited,
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    },
  };
}
