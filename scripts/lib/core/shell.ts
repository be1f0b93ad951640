import { adviceFor, causeOf } from './advice.ts';
import { OperationalError } from './errors.ts';
import { log, logFile } from './log.ts';
import { failedStage } from './pipeline.ts';
import { failureIn, warningsIn, withoutStatuses } from './program-output.ts';
import { interrupt } from './signals.ts';
import { type Stream, spawnGroup, type Template, templateOf, zx } from './spawn.ts';

export interface RunOptions {
  /** What the command is for, as the end of "could not …". */
  purpose: string;
  /** Added to this process's environment. Secrets go here, never into arguments. */
  env?: Record<string, string | undefined>;
  /** A file descriptor. Default: /dev/null. */
  stdin?: number | undefined;
  /** Its input does not end after `stdin`, but when this process dies. */
  lifeline?: boolean;
  /** A file descriptor for bulk output. Default: returned as text. */
  stdout?: number;
  /** Show stderr as it comes, for scripts that report to people. Default: kept, for the error's message. */
  stderr?: 'inherit';
  /** Seconds until the command is ended. Default: 60. Bulk work passes Infinity and shows its progress. */
  timeout?: number;
  /** What to do next if it fails and its cause is not known. */
  hint?: string;
  /** What to do about a cause, in the place of the general advice: by SQLSTATE or name, see {@link causeOf}. */
  hints?: Record<string, string>;
  /** What holds whatever the cause, said before the advice: `the live database is unchanged.` */
  state?: string;
  cwd?: string;
  /** Ends the command when it is aborted. */
  until?: AbortSignal | undefined;
  /** Run even after a signal: for cleanup. */
  evenInterrupted?: boolean;
}

/** A command that exited with something other than 0. Its advice is chosen by what it wrote. */
export class CommandError extends OperationalError {
  readonly status: number | null;
  readonly stderr: string;
  /** An SQLSTATE, or a name where there is no code; undefined: it is not known. See {@link causeOf}. */
  readonly reason: string | undefined;

  constructor(
    program: string,
    status: number | null,
    stderr: string,
    { purpose, hint, hints, state }: Pick<RunOptions, 'purpose' | 'hint' | 'hints' | 'state'>,
  ) {
    const stage = failedStage(stderr);
    const { summary, details } = failureIn(stderr);
    const reason = causeOf(stderr, stage?.status ?? status);
    const advice =
      (reason && hints?.[reason]) ??
      adviceFor(reason, stderr) ??
      hint ??
      unknown(stage?.name ?? program, status, stderr);
    super(
      `could not ${purpose}: ${[stage?.how, summary].filter(Boolean).join(': ') || 'no error output'}`,
      state ? `${state} ${advice}` : advice,
      undefined,
      { details: details.join('\n') },
    );
    this.status = status;
    this.stderr = stderr;
    this.reason = reason;
  }
}

function unknown(program: string, status: number | null, stderr: string): string {
  const file = stderr.trim() === '' ? undefined : logFile();
  const where = file ? ` All that it wrote is in ${file}.` : '';
  return `no advice is known for this error. The command was: ${program} (exit status ${status}).${where}`;
}

/** Keeps what a program wrote to stderr in the log, and shows its warnings, whatever its exit status. */
function keepOutput(program: string, purpose: string, status: number | null, stderr: string): void {
  const output = status === 0 ? withoutStatuses(stderr) : stderr;
  log.keep(`${program}, to ${purpose}, exited with ${status} and wrote:`, output);
  for (const warning of warningsIn(stderr)) log.warnOnce(warning.replaceAll('\n', '\n  '));
}

/**
 * Runs a simple command, with what it is for: ``await sh('find the image')`docker image inspect ${reference}` ``.
 *
 * @returns its stdout without trailing newlines, like `$(…)` in a shell
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

/** Like {@link sh}, for a command that a function made, as an array. @returns its whole stdout */
export async function run(argv: string[], options: RunOptions): Promise<string> {
  return (await start(argv, options)).stdout;
}

/** Like {@link run}, but also returns stderr, for programs that warn there. */
export function start(argv: string[], options: RunOptions): Promise<{ stdout: string; stderr: string }> {
  return runTemplate(templateOf(argv), options);
}

async function runTemplate(
  template: Template,
  options: RunOptions,
): Promise<{ stdout: string; stderr: string }> {
  const { stdin, lifeline = false, stdout = 'pipe', stderr = 'pipe', timeout = 60 } = options;
  const { env, cwd, until, evenInterrupted } = options;
  const program = programOf(template);
  if (!evenInterrupted && interrupt.aborted) throw interrupt.reason;
  until?.throwIfAborted();
  const stdio: Stream[] = [stdin ?? (lifeline ? 'pipe' : 'ignore'), stdout, stderr];
  const isLasting = lifeline && stdin !== undefined;
  const { ended, signal } = spawnGroup(template, { env, stdio, cwd, isLasting });
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
  until?.addEventListener('abort', end, { once: true });
  try {
    const output = await ended;
    const { timeout: _, ...judged } = options;
    judgeEnd(program, output, timedOut ? { ...judged, timeout } : judged);
    return { stdout: output.stdout, stderr: output.stderr };
  } finally {
    clearTimeout(timer);
    interrupt.removeEventListener('abort', end);
    until?.removeEventListener('abort', end);
  }
}

/**
 * Keeps what a command that has ended wrote to stderr.
 *
 * @param timeout if it was ended because it took longer than that
 * @throws as {@link sh}, if it did not succeed
 */
export function judgeEnd(
  program: string,
  { exitCode, stderr }: { exitCode: number | null; stderr: string },
  { timeout, ...options }: RunOptions,
): void {
  const { purpose, hint, state, evenInterrupted } = options;
  keepOutput(program, purpose, exitCode, stderr);
  if (!evenInterrupted && interrupt.aborted) throw interrupt.reason;
  if (timeout !== undefined) {
    throw new OperationalError(
      `could not ${purpose}: no answer in ${timeout} s`,
      [state, hint ?? 'check whether the server hangs.'].filter(Boolean).join(' '),
    );
  }
  if (exitCode !== 0) throw new CommandError(program, exitCode, stderr, options);
}

/** Starts a program with pipes as stdin, stdout and stderr. */
export function startDialogue(argv: string[], { env, purpose }: Pick<RunOptions, 'env' | 'purpose'>) {
  const { ended, ...group } = spawnGroup(templateOf(argv), { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const kept = ended.then(output => {
    keepOutput(argv[0]!, purpose, output.exitCode, output.stderr);
    return output;
  });
  return { ...group, ended: kept };
}

/** The first word of a command. */
function programOf([[text = ''], value]: Template): string {
  const [word] = `${text}${text.trim() ? '' : [value].flat()[0]}`.trim().split(' ');
  return word!;
}

/** @returns whether a program of this name is on PATH */
export function hasProgram(name: string): boolean {
  return zx().which.sync(name, { nothrow: true }) !== null;
}
