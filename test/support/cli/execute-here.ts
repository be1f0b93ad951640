import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import type { Ended } from '../core/world.ts';
import { commandOf } from './commands.ts';

/** `process.exit` of the script. */
class Left {
  readonly code: number;
  constructor(code: number) {
    this.code = code;
  }
}

interface Where {
  /** The working directory. Default: this process's. */
  cwd?: string;
  /** The repository that the script belongs to. Default: this one. */
  root?: string;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Executes `scripts/<script>.ts` from its arguments to its exit code, with its history, its messages and its results, in
 * this process: to start Node and to load the modules is most of the work of a script that soon ends. Never two at once,
 * and not for `--help`. What a process remembers stays: the log file of a run, warnings that are shown once, secrets.
 *
 * @param env the whole environment
 */
export async function executeHere(
  script: string,
  args: string[],
  env: Record<string, string>,
  { cwd = process.cwd(), root = ROOT }: Where = {},
): Promise<Ended> {
  const path = join(root, `scripts/${script}.ts`);
  const { execute }: typeof import('../../../scripts/lib/cli/command.ts') = await import(
    join(root, 'scripts/lib/cli/command.ts')
  );
  const definition = await commandOf(path);
  let stdout = '';
  let stderr = '';
  const restore = keepProcess();
  try {
    process.argv = [process.execPath, path, ...args];
    process.env = { ...env };
    process.chdir(cwd);
    process.stdout.write = text => {
      stdout += text;
      return true;
    };
    process.stderr.write = text => {
      stderr += text;
      return true;
    };
    process.exit = code => {
      throw new Left(Number(code ?? 0));
    };
    await execute(definition);
  } catch (thrown) {
    if (thrown instanceof Left) return { code: thrown.code, signal: null, stdout, stderr };
    throw thrown;
  } finally {
    restore();
  }
  throw new Error(`${script}.ts did not end`);
}

/** @returns what undoes all that a script changes in its process */
function keepProcess(): () => void {
  const { argv, env, exit, stdout, stderr } = process;
  const [cwd, umask, writeOut, writeError] = [process.cwd(), process.umask(), stdout.write, stderr.write];
  const own = SIGNALS.map(signal => process.listeners(signal));
  const ownErrors = [stdout, stderr].map(stream => stream.listeners('error'));
  return () => {
    Object.assign(process, { argv, env, exit });
    process.chdir(cwd);
    process.umask(umask);
    stdout.write = writeOut;
    stderr.write = writeError;
    for (const [index, signal] of SIGNALS.entries())
      for (const listener of process.listeners(signal))
        if (!own[index]!.includes(listener)) process.off(signal, listener);
    for (const [index, stream] of [stdout, stderr].entries())
      for (const listener of stream.listeners('error'))
        if (!ownErrors[index]!.includes(listener)) stream.off('error', listener as () => void);
  };
}
