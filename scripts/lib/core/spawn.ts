import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Options, Shell } from 'zx/core';
import { OperationalError } from './errors.ts';

/** Loaded with the first command: a script that only reads files or shows its help does not need it. */
export const zx = (): typeof import('zx/core') => createRequire(import.meta.url)('zx/core');

/*
 * Every command gets a pipe on descriptor 3 that only this process holds open. When this process ends,
 * even if it is killed, the pipe ends and the watcher below ends the command's whole process group: no dump continues
 * to write to a file that the next run has already removed.
 */
const LIFELINE = '(exec >&- 2>&-; read -r _ <&3 || kill -TERM 0) & ';

/** Standard input stays open behind the end of its file until this process ends: see `withLifelineOnStdin`. */
const FILE_AND_LIFELINE = 'exec < <(cat; read -r _ <&3); ';

/*
 * Every option is set, because ZX_* environment variables change zx's defaults, pipefail included.
 * stdin is /dev/null: with a socket there, bash under cron assumes that rshd started it and reads ~/.bashrc.
 */
const SETTINGS: Partial<Options> = {
  stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  detached: true, // in a process group of its own
  nothrow: true,
  quiet: true,
  verbose: false,
  postfix: '',
  preferLocal: false,
  cwd: undefined,
  timeout: undefined,
  killSignal: 'SIGTERM',
  timeoutSignal: 'SIGTERM',
};

let bash: string | undefined;

/** zx's `$` with {@link SETTINGS}. */
function $(options: Partial<Options>): Shell {
  bash ??= zx().which.sync('bash', { nothrow: true }) ?? undefined;
  if (!bash) throw new OperationalError('there is no bash on PATH', 'install it, or correct PATH.');
  return zx().$({ ...SETTINGS, shell: bash, ...options });
}

/** A template of zx's `$`: the text is bash, each value is one quoted word, an array is several. */
export type Template = [pieces: TemplateStringsArray, ...values: unknown[]];

/** @returns the template `${argv}` */
export const templateOf = (argv: string[]): Template => [Object.assign(['', ''], { raw: ['', ''] }), argv];

export type Stream = number | 'pipe' | 'ignore' | 'inherit';

interface SpawnOptions {
  env?: Record<string, string | undefined>;
  stdio: Stream[];
  cwd?: string;
  /** Whether its standard input is a file and stays open behind its end. */
  isLasting?: boolean;
}

/** Starts a command in a process group of its own, which ends when this process ends, even if it is killed. */
export function spawnGroup(template: Template, { env, stdio, cwd, isLasting }: SpawnOptions) {
  const ended = $({
    prefix: `set -euo pipefail; ${LIFELINE}${isLasting ? FILE_AND_LIFELINE : ''}exec 3<&-; `,
    env: { ...process.env, ...env },
    stdio: [...stdio, 'pipe'],
    ...(cwd ? { cwd } : {}),
  })(...template);
  const child = ended.child!;
  child.once('exit', () => (child.stdio[3] as Socket).destroy());
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, name);
    } catch {} // it has ended
  };
  return { child, ended, signal };
}
