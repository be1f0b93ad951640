import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Options, Shell } from 'zx/core';
import { hintFor, OperationalError } from './errors.ts';
import { interrupt } from './interrupt.ts';

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

/** zx's `$` as these scripts use it: with these options, to be called with a template. */
export function $(options: Partial<Options>): Shell {
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

  constructor(purpose: string, argv: string[], status: number | null, stderr: string, hint?: string) {
    const last = explainStatuses(stderr) ?? lastLine(stderr) ?? 'it said nothing';
    super(
      `could not ${purpose}: ${last}`,
      hintFor(stderr) ?? hint ?? `the command was: ${argv[0]} (exit status ${status})`,
    );
    this.status = status;
    this.stderr = stderr;
  }
}

/** An output cut to its last meaningful line; PostgreSQL's errors keep their first line too. */
function lastLine(text: string): string | undefined {
  const lines = text.split('\n').filter(line => line.trim() !== '' && !line.startsWith(STATUSES));
  return lines.find(line => /\b(error|fatal|panic):/i.test(line))?.trim() ?? lines.at(-1)?.trim();
}

const STATUSES = 'exit statuses of ';

/**
 * Bash that runs `stages` as a pipe, prints each stage's exit status on stderr and exits with the first that
 * is not 0. A pipe inside bash is the only one here: zx's own keeps all that passes in memory.
 */
export function pipeline(...stages: string[][]): string[] {
  const names = stages.map(([name]) => name).join(' | ');
  const script = [
    stages.map(stage => stage.map(quoteWord).join(' ')).join(' | '),
    's=("$' + '{PIPESTATUS[@]}")',
    `echo "${STATUSES}${names}: $` + '{s[*]}" >&2',
    'for x in "$' + '{s[@]}"; do [ "$x" = 0 ] || exit "$x"; done',
  ].join('; ');
  return ['bash', '-c', script];
}

/**
 * The same, ended as a group when its standard input ends: for a pipe in a container, where killing `docker exec`
 * ends nothing. Bash outlives what it started and reaps it. A process that lost its parent there would be
 * adopted by process 1, and a PostgreSQL that is process 1 takes any child's violent death for a crash of its
 * own and restarts.
 */
export function withLifelineOnStdin([, , script]: string[]): string[] {
  const watch =
    'exec 3<&0 </dev/null; trap : TERM; { read -r _ <&3; kill -TERM 0; } & watcher=$!; exec 3<&-; ';
  const unwatch = 'trap "kill $watcher; wait $watcher 2>/dev/null" EXIT; ';
  return ['bash', '-c', watch + unwatch + script];
}

/** zx's quote makes $'…' strings, which only bash reads; here that is who reads them. */
function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : zx().quote(word);
}

/** Of a failed pipe's statuses, the stage to blame: not the one that merely lost its reader. */
function explainStatuses(stderr: string): string | undefined {
  const line = stderr.split('\n').findLast(each => each.startsWith(STATUSES));
  if (line === undefined) return undefined;
  const [names = '', statuses = ''] = line.slice(STATUSES.length).split(': ');
  const failed = names
    .split(' | ')
    .map((name, index) => ({ name, status: Number(statuses.split(' ')[index]) }))
    .filter(({ status }) => status !== 0);
  const culprit = failed.find(({ status }) => status !== 141) ?? failed[0];
  if (!culprit) return undefined;
  const said = lastLine(stderr);
  const how =
    culprit.status > 128 ? `was ended by signal ${culprit.status - 128}` : `exited with ${culprit.status}`;
  return `${culprit.name} ${how}${said ? `: ${said}` : ''}`;
}

/**
 * Runs a command and returns what it printed on stdout.
 * @throws CommandError when it does not exit with 0; Interrupted when a signal arrives meanwhile.
 */
export async function run(argv: string[], options: RunOptions): Promise<string> {
  const { stdout } = await start(argv, options);
  return stdout;
}

/** Like {@link run}, but also returns stderr, for programs that warn there. */
export async function start(
  argv: string[],
  options: RunOptions,
): Promise<{ stdout: string; stderr: string }> {
  const {
    purpose,
    env = {},
    stdin = 'ignore',
    stdout = 'pipe',
    stderr = 'pipe',
    timeout = 60,
    hint,
    cwd,
  } = options;
  if (!options.evenInterrupted && interrupt.aborted) throw interrupt.reason;
  const process_ = $({
    env: { ...process.env, ...env },
    stdio: [stdin === 'lifeline' ? 'pipe' : stdin, stdout, stderr, 'pipe'],
    ...(cwd ? { cwd } : {}),
  })`${argv}`;
  const child = process_.child!;
  child.once('exit', () => (child.stdio[3] as Socket).destroy());
  const kill = (signal: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, signal);
    } catch {} // gone already
  };
  let timedOut = false;
  const end = () => {
    kill('SIGTERM');
    setTimeout(() => kill('SIGKILL'), 5000).unref();
  };
  const timer = Number.isFinite(timeout)
    ? setTimeout(() => {
        timedOut = true;
        end();
      }, timeout * 1000)
    : undefined;
  if (!options.evenInterrupted) interrupt.addEventListener('abort', end, { once: true });
  try {
    const output = await process_;
    if (!options.evenInterrupted && interrupt.aborted) throw interrupt.reason;
    if (timedOut) {
      throw new OperationalError(
        `could not ${purpose}: no answer in ${timeout} s`,
        hint ?? 'see whether the server hangs.',
      );
    }
    if (output.exitCode !== 0) throw new CommandError(purpose, argv, output.exitCode, output.stderr, hint);
    return { stdout: output.stdout, stderr: output.stderr };
  } finally {
    clearTimeout(timer);
    interrupt.removeEventListener('abort', end);
  }
}

export interface Service {
  pid: number;
  /** Resolves with its exit status when it has ended, for whatever reason; by a signal: 128 and its number. */
  ended: Promise<number>;
  /** Sends a signal to its process group and waits until it has ended; after `seconds`, 10 unless told, SIGKILL. */
  stop: (signal?: NodeJS.Signals, seconds?: number) => Promise<void>;
}

/** Starts a program that goes on until it is stopped, or until this process dies. Its output goes to `log`. */
export function startService(
  argv: string[],
  { env = {}, log }: { env?: Record<string, string>; log: number },
): Service {
  const promise = $({ env: { ...process.env, ...env }, stdio: ['ignore', log, log, 'pipe'] })`${argv}`;
  const child = promise.child!;
  child.once('exit', () => (child.stdio[3] as Socket).destroy());
  const ended = (async () => {
    const { exitCode, signal } = await promise;
    return exitCode ?? 128 + (signal ? constants.signals[signal] : 0);
  })();
  const signalGroup = (signal: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, signal);
    } catch {} // gone already
  };
  return {
    pid: child.pid!,
    ended,
    stop: async (signal = 'SIGTERM', seconds = 10) => {
      signalGroup(signal);
      const timer = setTimeout(() => signalGroup('SIGKILL'), seconds * 1000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** @returns whether a program of this name is on PATH */
export function hasProgram(name: string): boolean {
  return zx().which.sync(name, { nothrow: true }) !== null;
}
