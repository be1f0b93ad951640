import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { type Config, environmentOf, loadConfig } from '../config/config.ts';
import { checkEnvFile } from '../config/env-file-check.ts';
import {
  Exit,
  type ExitCode,
  type Interrupted,
  messageOf,
  OperationalError,
  operational,
  textOf,
  usageError,
} from '../core/errors.ts';
import { commandsFor, log, shown } from '../core/log.ts';
import { redact } from '../core/redact.ts';
import { record } from '../core/run-history.ts';
import { interrupt, listenForSignals } from '../core/signals.ts';
import { COMMON, type Description, help, type Options } from './help.ts';
import { placeOf } from './place.ts';
import { versionOf } from './version.ts';

type Values<O extends Options> = {
  [K in keyof O]?: O[K]['type'] extends 'boolean'
    ? boolean
    : O[K] extends { multiple: true }
      ? string[]
      : string;
};

export interface Result {
  /** For people. */
  text?: string;
  /** For `--json`. */
  json?: unknown;
  exitCode?: number;
  /** The run has written its output itself, line by line: `text` and `json` do not count. */
  isWritten?: boolean;
}

interface Failure {
  message: string;
  /** Lines of a program that failed, such as PostgreSQL's DETAIL, HINT and CONTEXT. */
  details?: string;
  hint?: string;
  exitCode: ExitCode;
}

export interface Invocation<O extends Options> {
  options: Values<O>;
  positionals: string[];
  /** Reads the environment's configuration; the first call decides where the run's history goes. */
  config: () => Config;
}

export interface Command<O extends Options> extends Description<O> {
  /** How many arguments without `--` there may be. Default: none. */
  positionals?: number;
  /** The result of a failed run, for a script with exit codes and an output of its own. */
  failed?: (error: Failure) => Result;
  /** Whether runs, or runs with these arguments, are recorded in the history; `--dry-run` never is. */
  changesState?: boolean | ((positionals: string[], options: Values<O>) => boolean);
  run: (invocation: Invocation<O & typeof COMMON>) => Promise<Result>;
}

/** Declares a script: its flags, help and exit codes. Run it with {@link execute}. */
export function command<O extends Options>(definition: Command<O>): Command<O> {
  return definition;
}

/**
 * Parses the arguments, runs the command, prints its result on stdout and everything else on stderr, and
 * exits with its exit code.
 */
export async function execute<O extends Options>(definition: Command<O>): Promise<never> {
  prepareProcess();
  const started = performance.now();
  const script = basename(process.argv[1] ?? '');
  const json = process.argv.includes('--json');
  let config: Config | undefined;
  let outcome: Result & { error?: string };
  let recorded = false;
  try {
    const { options, positionals } = parseArguments(definition);
    const environment = (options.env as string | undefined) ?? (process.env.DEPLOY_ENV || 'production');
    commandsFor(placeOf(environment));
    if (options.help) {
      process.stdout.write(help(script, definition, backupsOf(environment)));
      process.exit(Exit.done);
    }
    if (options.version) {
      process.stdout.write(`${script} ${await versionOf()}\n`);
      process.exit(Exit.done);
    }
    const { changesState = false } = definition;
    recorded =
      (options as Record<string, unknown>)['dry-run'] !== true &&
      (typeof changesState === 'boolean' ? changesState : changesState(positionals, options));
    const read = () => {
      if (!config) {
        checkEnvFile(environmentOf(environment));
        config = loadConfig(environmentOf(environment));
      }
      commandsFor(placeOf(environment, config.postgres));
      return config;
    };
    outcome = await definition.run({ options, positionals, config: read });
  } catch (thrown) {
    const error = report(interrupt.aborted ? interruption(interrupt.reason, recorded) : thrown);
    const own = interrupt.aborted ? undefined : definition.failed?.(error);
    outcome = { exitCode: error.exitCode, json: { error }, ...own, error: error.message };
  }
  const { exitCode = Exit.done, error } = outcome;
  if (config && recorded) {
    const { environment, stateDir } = config;
    const seconds = Math.round((performance.now() - started) / 100) / 10;
    record(stateDir, { script, arguments: process.argv.slice(2), environment, exitCode, error, seconds });
  }
  // Shown before it is JSON, whose quoting a path with a quote would break.
  const show = (_: string, value: unknown) => (typeof value === 'string' ? shown(value) : value);
  const output = json ? redact(JSON.stringify(outcome.json ?? {}, show, 2)) : shown(outcome.text ?? '');
  if (output && !outcome.isWritten) process.stdout.write(output + '\n');
  process.exit(exitCode);
}

/** @returns what the ids of an environment's backups begin with; undefined where its configuration is wrong */
function backupsOf(environment: string): string | undefined {
  try {
    return `${loadConfig(environmentOf(environment)).app}_${environment}`;
  } catch {
    return undefined;
  }
}

function prepareProcess(): void {
  process.umask(0o077);
  // The launcher set these for this process. A command that inherits them, such as MIGRATE_COMMAND, would fill this cache.
  delete process.env.NODE_COMPILE_CACHE;
  delete process.env.NODE_COMPILE_CACHE_PORTABLE;
  listenForSignals();
  process.stderr.on('error', () => {}); // the operator's connection was lost: the work goes on
  process.stdout.on('error', () => process.exit(Exit.failed)); // the reader is gone, such as `head`
}

/**
 * @returns the options and positional arguments of a command line
 * @throws a usage error for an unknown option, an option without its value, or too many arguments
 */
export function parseArguments<O extends Options>(definition: Command<O>, args = process.argv.slice(2)) {
  const allOptions = { ...definition.options, ...COMMON };
  try {
    const parsed = parseArgs({ args, options: allOptions, allowPositionals: true, strict: true });
    const { positionals } = parsed;
    if (positionals.length > (definition.positionals ?? 0)) {
      throw new Error(`unexpected argument ${JSON.stringify(positionals.at(-1))}`);
    }
    return { options: parsed.values as Values<O & typeof COMMON>, positionals };
  } catch (error) {
    throw usageError(messageOf(error).split('. ')[0]!, 'see --help.');
  }
}

/** @param changes whether the run could have changed something */
function interruption(reason: Interrupted, changes: boolean): OperationalError {
  if (changes) return reason;
  return new OperationalError(
    reason.message,
    'it had changed nothing: run the same command again.',
    reason.exitCode,
  );
}

function report(thrown: unknown): Failure {
  const error = operational(thrown);
  const message = redact(messageOf(error));
  if (!(error instanceof OperationalError)) {
    log.error(`this is a bug: ${error instanceof Error ? error.stack : message}`);
    return { message, exitCode: Exit.failed };
  }
  const { details, hint, exitCode } = error;
  log.error(textOf(error));
  return { message, ...(details && { details }), hint, exitCode };
}
