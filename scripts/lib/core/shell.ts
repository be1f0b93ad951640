import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Options, Shell } from 'zx/core';
import { hintFor, OperationalError } from './errors.ts';
import { explainStatuses, lastLine } from './pipeline.ts';
import { interrupt } from './signals.ts';

/** Loaded with the first command: a script that only reads files or shows its help needs none of it. */
const zx = (): typeof import('zx/core') => createRequire(import.meta.url)('zx/core');

/*
 * Every command gets a pipe on descriptor 3 that only this process holds open. When this process dies,
 * however it dies, the pipe ends and the watcher below ends the command's whole process group: no dump goes
 * on writing to a file that the next run has already removed.
 */
const LIFELINE = '(exec >&- 2>&-; read -r _ <&3 || kill -TERM 0) & exec 3<&-; ';

/*
 * Set in full, because zx lets ZX_* variables of the environment change its defaults, pipefail included.
 * stdin is /dev/null: a socket there makes bash under cron take itself for rshd and read ~/.bashrc.
 */
const SETTINGS: Partial<Options> = {
  prefix: 'set -euo pipefail; ' + LIFELINE,
  stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  detached: true, // a process group of its own, to be ended as a whole
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

/** zx's `$` as these scripts use it. */
function $(options: Partial<Options>): Shell {
  bash ??= zx().which.sync('bash');
  return zx().$({ ...SETTINGS, shell: bash, ...options });
}

export interface RunOptions {
  /** What the command is for, as the end of "could not …". */
  purpose: string;
  /** Added to this process's environment. Secrets go here, never into arguments. */
  env?: Record<string, string | undefined>;
  /** A file descriptor; 'lifeline': an empty input that ends when this process dies. Default: /dev/null. */
  stdin?: number | 'lifeline';
  /** A file descriptor for bulk output. Default: returned as text. */
  stdout?: number;
  /** Show stderr as it comes, for scripts that report to people. Default: kept, for the error's message. */
  stderr?: 'inherit';
  /** Seconds until the command is ended. Default: 60. Bulk work passes Infinity and is watched by progress. */
  timeout?: number;
  /** What to do next if it fails. */
  hint?: string;
  cwd?: string;
  /** Go on even when a signal has arrived: for cleaning up. */
  evenInterrupted?: boolean;
}

/** A command that exited with something other than 0. */
export class CommandError extends OperationalError {
  readonly status: number | null;
  readonly stderr: string;

  constructor(purpose: string, program: string, status: number | null, stderr: string, hint?: string) {
    const last = explainStatuses(stderr) ?? lastLine(stderr) ?? 'no error output';
    super(
      `could not ${purpose}: ${last}`,
      hintFor(stderr) ?? hint ?? `the command was: ${program} (exit status ${status})`,
    );
    this.status = status;
    this.stderr = stderr;
  }
}

/** A template of zx's `$`: the text is bash, each value is one quoted word, an array is several. */
type Template = [pieces: TemplateStringsArray, ...values: unknown[]];

/**
 * Runs a simple command, with what it is for: ``await sh('find the image')`docker image inspect ${reference}` ``.
 *
 * @returns what it printed on stdout, without the line ends at its end, as `$(…)` of a shell
 * @throws CommandError when it does not exit with 0; OperationalError when it takes longer than `timeout` seconds;
 *   Interrupted when a signal arrives meanwhile
 */
export function sh(
  purpose: string,
  options: Omit<RunOptions, 'purpose'> = {},
): (...template: Template) => Promise<string> {
  return async (...template) =>
    (await runTemplate(template, { ...options, purpose })).stdout.replace(/\n+$/, '');
}

/** The same for a command that a function has made, as an array. @returns what it printed on stdout, whole */
export async function run(argv: string[], options: RunOptions): Promise<string> {
  return (await start(argv, options)).stdout;
}

/** Like {@link run}, but also returns stderr, for programs that warn there. */
export function start(argv: string[], options: RunOptions): Promise<{ stdout: string; stderr: string }> {
  return runTemplate(templateOf(argv), options);
}

/** As a template tag is called for `${argv}`. */
const templateOf = (argv: string[]): Template => [Object.assign(['', ''], { raw: ['', ''] }), argv];

async function runTemplate(
  template: Template,
  options: RunOptions,
): Promise<{ stdout: string; stderr: string }> {
  const {
    purpose,
    env,
    stdin = 'ignore',
    stdout = 'pipe',
    stderr = 'pipe',
    cwd,
    timeout = 60,
    hint,
    evenInterrupted,
  } = options;
  if (!evenInterrupted && interrupt.aborted) throw interrupt.reason;
  const stdio: Stream[] = [stdin === 'lifeline' ? 'pipe' : stdin, stdout, stderr];
  const { ended, signal } = spawnGroup(template, { env, stdio, cwd });
  let timedOut = false;
  const end = () => {
    signal('SIGTERM');
    setTimeout(() => signal('SIGKILL'), 5000).unref();
  };
  const timer = Number.isFinite(timeout)
    ? setTimeout(() => {
        timedOut = true;
        end();
      }, timeout * 1000)
    : undefined;
  if (!evenInterrupted) interrupt.addEventListener('abort', end, { once: true });
  try {
    const output = await ended;
    if (!evenInterrupted && interrupt.aborted) throw interrupt.reason;
    if (timedOut) {
      throw new OperationalError(
        `could not ${purpose}: no answer in ${timeout} s`,
        hint ?? 'see whether the server hangs.',
      );
    }
    if (output.exitCode !== 0)
      throw new CommandError(purpose, programOf(template), output.exitCode, output.stderr, hint);
    return { stdout: output.stdout, stderr: output.stderr };
  } finally {
    clearTimeout(timer);
    interrupt.removeEventListener('abort', end);
  }
}

type Stream = number | 'pipe' | 'ignore' | 'inherit';

/** Starts a command in a process group of its own, which ends with this process, however that dies. */
function spawnGroup(
  template: Template,
  { env = {}, stdio, cwd }: Pick<RunOptions, 'env' | 'cwd'> & { stdio: Stream[] },
) {
  const ended = $({
    env: { ...process.env, ...env },
    stdio: [...stdio, 'pipe'],
    ...(cwd ? { cwd } : {}),
  })(...template);
  const child = ended.child!;
  child.once('exit', () => (child.stdio[3] as Socket).destroy());
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, name);
    } catch {} // gone already
  };
  return { child, ended, signal };
}

/** Starts a program that is talked to through pipes until it ends. */
export function startDialogue(argv: string[], env: RunOptions['env']) {
  return spawnGroup(templateOf(argv), { env, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** The first word of a command. */
function programOf([[text = ''], value]: Template): string {
  const [word] = `${text}${text.trim() ? '' : [value].flat()[0]}`.trim().split(' ');
  return word!;
}

export interface Service {
  pid: number;
  /** Resolves with its exit status when it has ended, for whatever reason; by a signal: 128 and its number. */
  ended: Promise<number>;
  /** Sends a signal to its process group and waits until it has ended; after `seconds`, 10 unless told, SIGKILL. */
  stop: (signal?: NodeJS.Signals, seconds?: number) => Promise<void>;
}

/** Starts a program that runs until it is stopped, or until this process dies. Its output goes to `log`. */
export function startService(
  argv: string[],
  { env = {}, log }: { env?: Record<string, string>; log: number },
): Service {
  const {
    child,
    ended: process_,
    signal,
  } = spawnGroup(templateOf(argv), { env, stdio: ['ignore', log, log] });
  const ended = (async () => {
    const { exitCode, signal: name } = await process_;
    return exitCode ?? 128 + (name ? constants.signals[name] : 0);
  })();
  return {
    pid: child.pid!,
    ended,
    stop: async (name = 'SIGTERM', seconds = 10) => {
      signal(name);
      const timer = setTimeout(() => signal('SIGKILL'), seconds * 1000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** @returns whether a program of this name is on PATH */
export function hasProgram(name: string): boolean {
  return zx().which.sync(name, { nothrow: true }) !== null;
}
