import { basename } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { type Config, environmentOf, loadConfig } from './config.ts';
import { Exit, type ExitCode, messageOf, OperationalError, operational, usageError } from './errors.ts';
import { record } from './history.ts';
import { interrupt, listenForSignals } from './interrupt.ts';
import { log, redact } from './log.ts';
import { styled } from './text.ts';

interface Option {
  type: 'boolean' | 'string';
  /** What stands for the value in the help: `NAME`. */
  value?: string;
  help: string;
}

export type Options = Record<string, Option>;
type Values<O extends Options> = { [K in keyof O]?: O[K]['type'] extends 'boolean' ? boolean : string };

export interface Result {
  /** For people. */
  text?: string;
  /** For `--json`. */
  json?: unknown;
  exitCode?: number;
}

interface Failure {
  message: string;
  hint?: string;
  exitCode: ExitCode;
}

export interface Invocation<O extends Options> {
  options: Values<O>;
  positionals: string[];
  /** Reads the environment's configuration; the first call decides where the run's history goes. */
  config: () => Config;
}

export interface Command<O extends Options> {
  /** One line: what it does. */
  summary: string;
  /** After the script's name, one line a form. */
  usage: string[];
  /** What else a reader of the help must know. */
  details?: string;
  options: O;
  examples: [command: string, what: string][];
  exitCodes: [code: number, meaning: string][];
  /** How many arguments without `--` there may be. Default: none. */
  positionals?: number;
  /** What a script with exit codes and an output of its own makes of the error that ended it. */
  failed?: (error: Failure) => Result;
  /** Whether runs go into the history, or those with these arguments; `--dry-run` never does. */
  changesState?: boolean | ((positionals: string[]) => boolean);
  run: (invocation: Invocation<O & typeof COMMON>) => Promise<Result>;
}

const COMMON = {
  env: {
    type: 'string',
    value: 'production|staging',
    help: 'environment; default: DEPLOY_ENV, else production',
  },
  json: { type: 'boolean', help: 'only JSON on stdout' },
  help: { type: 'boolean', help: 'this text' },
} as const satisfies Options;

/** Declares a script: its flags, help and exit codes. Run it with {@link execute}. */
export function command<O extends Options>(definition: Command<O>): Command<O> {
  return definition;
}

/**
 * Parses the arguments, runs the command, prints its result on stdout and everything else on stderr, and
 * leaves with its exit code.
 */
export async function execute<O extends Options>(definition: Command<O>): Promise<never> {
  process.umask(0o077);
  // The first line set these for this process. A command that inherits them, such as MIGRATE_COMMAND, would fill this cache.
  delete process.env.NODE_COMPILE_CACHE;
  delete process.env.NODE_COMPILE_CACHE_PORTABLE;
  listenForSignals();
  process.stderr.on('error', () => {}); // a lost connection of the operator's must not end the work
  process.stdout.on('error', () => process.exit(Exit.failed)); // a reader that left, such as `head`
  const started = performance.now();
  const script = basename(process.argv[1] ?? '');
  const json = process.argv.includes('--json');
  let config: Config | undefined;
  let outcome: Result & { error?: string };
  let recorded = false;
  try {
    const { options, positionals } = parse(definition);
    const { changesState = false } = definition;
    recorded =
      (options as Record<string, unknown>)['dry-run'] !== true &&
      (typeof changesState === 'boolean' ? changesState : changesState(positionals));
    if (options.help) {
      process.stdout.write(help(script, definition));
      process.exit(Exit.done);
    }
    const invocation = {
      options,
      positionals,
      config: () => (config ??= loadConfig(environmentOf(options.env as string | undefined))),
    };
    outcome = await definition.run(invocation);
  } catch (thrown) {
    const error = report(interrupt.aborted ? interrupt.reason : thrown);
    const own = interrupt.aborted ? undefined : definition.failed?.(error);
    outcome = { exitCode: error.exitCode, json: { error }, ...own, error: error.message };
  }
  const exitCode = outcome.exitCode ?? Exit.done;
  if (config && recorded) {
    const seconds = Math.round((performance.now() - started) / 100) / 10;
    const { environment, stateDir } = config;
    record(stateDir, {
      script,
      arguments: process.argv.slice(2),
      environment,
      exitCode,
      error: outcome.error,
      seconds,
    });
  }
  if (json) process.stdout.write(redact(JSON.stringify(outcome.json ?? {}, null, 2)) + '\n');
  else if (outcome.text) process.stdout.write(redact(outcome.text) + '\n');
  // Node waits here for threads that compile, and such a thread may wait for a garbage collection that will not come any
  // more (https://github.com/nodejs/node/issues/54918). So the first line of each script has V8 compile in this one.
  process.exit(exitCode);
}

/**
 * @returns what these arguments say
 * @throws a usage error where the script does not know them
 */
export function parse<O extends Options>(definition: Command<O>, args = process.argv.slice(2)) {
  const allOptions = { ...definition.options, ...COMMON };
  try {
    const parsed = parseArgs({ args, options: allOptions, allowPositionals: true, strict: true });
    const { positionals } = parsed;
    if (positionals.length > (definition.positionals ?? 0)) {
      throw new Error(`unexpected argument ${JSON.stringify(positionals.at(-1))}`);
    }
    return { options: parsed.values as Values<O & typeof COMMON>, positionals };
  } catch (error) {
    throw usageError(messageOf(error).split('. ')[0]!, 'see --help for what it takes.');
  }
}

function report(thrown: unknown): Failure {
  const error = operational(thrown);
  const message = redact(messageOf(error));
  if (!(error instanceof OperationalError)) {
    log.error(`this is a bug: ${error instanceof Error ? error.stack : message}`);
    return { message, exitCode: Exit.failed };
  }
  const { hint, exitCode } = error;
  log.error(`${message}\n  → ${hint}`);
  return { message, hint: redact(hint), exitCode };
}

/** @returns the text of `--help` */
export function help<O extends Options>(script: string, definition: Command<O>): string {
  const heading = (text: string) => styled('bold', text, process.stdout);
  const options = Object.entries<Option>({ ...definition.options, ...COMMON }).map(
    ([name, { value, help: text }]) => [`--${name}${value ? ` ${value}` : ''}`, text] as const,
  );
  const aligned = (rows: (readonly [string, string])[]) => {
    const width = Math.max(...rows.map(([left]) => left.length));
    return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
  };
  return [
    definition.summary,
    '',
    heading('Usage'),
    ...definition.usage.map(form => `  ${script} ${form}`),
    ...(definition.details ? ['', definition.details] : []),
    '',
    heading('Options'),
    aligned(options),
    '',
    heading('Examples'),
    aligned(definition.examples),
    '',
    heading('Exit codes'),
    aligned(definition.exitCodes.map(([code, meaning]) => [String(code), meaning] as const)),
    '',
  ].join('\n');
}

/** @throws a usage error where {@link confirm} would have nobody to ask, before work is done in vain */
export function refuseUnanswerable(yes: boolean | undefined): void {
  if (yes || (process.stdin.isTTY && process.stderr.isTTY)) return;
  throw usageError('there is no terminal to confirm this on', 'add --yes to go on without being asked.');
}

/**
 * Asks the operator to type `name` before something dangerous; `--yes` answers.
 * @throws a usage error if there is no terminal to ask on, or something else is typed
 */
export async function confirm(question: string, name: string, yes: boolean | undefined): Promise<void> {
  if (yes) return;
  refuseUnanswerable(false);
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  prompt.once('SIGINT', () => process.kill(process.pid, 'SIGINT')); // readline takes Ctrl+C for itself
  try {
    const closed = new Promise<string>(resolve => prompt.once('close', () => resolve('')));
    const asked = prompt.question(`${question}\nType ${styled('bold', name)} to go on: `, {
      signal: interrupt,
    });
    asked.catch(() => {}); // what is thrown is thrown by the race below
    const answer = await Promise.race([asked, closed]);
    if (answer.trim() !== name)
      throw usageError('not confirmed; nothing was changed', `type ${name} exactly, or add --yes.`);
  } finally {
    prompt.close();
  }
}
