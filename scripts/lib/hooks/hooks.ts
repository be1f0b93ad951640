/** An operator's own programs in `hooks/`, which run before and after what the scripts do. */
import { readdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { basename, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { messageOf, OperationalError, textOf } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { log, logFile } from '../core/log.ts';
import { redact } from '../core/redact.ts';
import { operator } from '../core/run-history.ts';
import { interrupt } from '../core/signals.ts';
import { type Problem, problemOf } from './hook-file.ts';
import { type HookEnd, runToEnd } from './hook-process.ts';

/** The names of hooks. */
export const HOOKS = [
  'pre-backup',
  'post-backup',
  'pre-deploy',
  'post-deploy',
  'post-rollback',
  'post-restore',
  'on-alert',
] as const;
export type HookName = (typeof HOOKS)[number];

/** What of this process's environment a hook gets: where programs are, who runs it, how Docker is reached. No secrets. */
const PASSED =
  'PATH HOME USER LOGNAME SHELL LANG LC_ALL TZ TMPDIR XDG_RUNTIME_DIR DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG'.split(
    ' ',
  );

/** Lines of a failed hook's output in the error. */
const SHOWN_LINES = 10;
/** Seconds that a hook has in a run that a signal ends, where it is not a `pre-` hook: as long as a webhook. */
const INTERRUPTED_SECONDS = 10;

/**
 * Checks the hooks that a run would use, before it changes anything. What is wrong with a `post-` or `on-` hook, or with a
 * name that only looks like one, is a warning.
 *
 * @throws OperationalError for a `pre-` hook that can't be run
 */
export function checkHooks(config: Config, names: readonly HookName[]): void {
  for (const name of names) {
    const problem = problemOf(pathOf(config, name));
    if (problem === undefined || problem === 'missing') continue;
    if (name.startsWith('pre-')) throw refusal(config, name, problem);
    log.warnOnce(textOf(refusal(config, name, problem)));
  }
  for (const path of misnamed(config))
    log.warnOnce(`${path} is not the name of a hook, so nothing runs it; the names are ${HOOKS.join(', ')}`);
}

/** @returns what is wrong with hooks that are there, and what to do: a hook for alerts is else first missed at an alert */
export function hookRemarks(config: Config): { message: string; hint: string }[] {
  const wrong = HOOKS.flatMap(name => {
    const problem = problemOf(pathOf(config, name));
    if (problem === undefined || problem === 'missing') return [];
    return [{ message: `the hook ${pathOf(config, name)} ${problem.what}`, hint: problem.hint }];
  });
  const hint = `rename it; the names of hooks are ${HOOKS.join(', ')}.`;
  return [
    ...wrong,
    ...misnamed(config).map(path => ({ message: `${path} is not the name of a hook`, hint })),
  ];
}

/**
 * Runs a hook, if there is one, with facts about the run as JSON on its standard input. What it writes is in the log.
 * A run that a hook started runs no hooks: it could start itself without end.
 *
 * @throws OperationalError when a `pre-` hook can't be run or fails; Interrupted when a signal ended it. For all others that is
 *   a warning.
 */
export async function runHook(config: Config, name: HookName, facts: object): Promise<void> {
  const path = pathOf(config, name);
  const problem = problemOf(path);
  if (problem === 'missing') return;
  if (process.env.HOOK) {
    log.info(`hook ${name} is not run, because the hook ${process.env.HOOK} started this run`);
    return;
  }
  try {
    if (problem) throw refusal(config, name, problem);
    await runFile(config, name, path, facts);
  } catch (error) {
    const isFailure = error instanceof OperationalError;
    if (name.startsWith('pre-') || !isFailure) throw error;
    log.warnOnce(textOf(error));
  }
}

const pathOf = ({ hooksDir }: Config, name: HookName) => join(hooksDir, name);

async function runFile(config: Config, name: HookName, path: string, facts: object): Promise<void> {
  const isBefore = name.startsWith('pre-');
  const seconds = config.hookTimeout;
  const started = performance.now();
  log.info(`hook ${name} …`);
  const end = await runToEnd(path, inputOf(config, name, facts), environmentOf(config, name), {
    seconds,
    until: isBefore ? interrupt : sometimeAfter(interrupt),
  });
  log.keep(`hook ${name}, which ${howItEnded(end)}, wrote:`, end.output);
  if (isBefore && interrupt.aborted) throw interrupt.reason;
  if (end.status === 0 && !end.timedOut) {
    log.done(`hook ${name}: done in ${duration((performance.now() - started) / 1000)}`);
    return;
  }
  throw failure(config, name, end, seconds);
}

/** What ends a hook that has to run even though, or just because, the run is ended. */
function sometimeAfter(signal: AbortSignal): AbortSignal {
  const later = new AbortController();
  const begin = () => setTimeout(() => later.abort(), INTERRUPTED_SECONDS * 1000).unref();
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true });
  return later.signal;
}

function inputOf({ app, environment }: Config, hook: HookName, facts: object): string {
  const script = basename(process.argv[1] ?? '');
  const run = { hook, app, environment, script, user: operator(), time: new Date().toISOString() };
  return `${redact(JSON.stringify({ ...run, ...facts }))}\n`;
}

function environmentOf({ environment }: Config, name: HookName): Record<string, string> {
  const passed = Object.entries(process.env).filter(
    (entry): entry is [string, string] => PASSED.includes(entry[0]) && entry[1] !== undefined,
  );
  return { HOME: home(), ...Object.fromEntries(passed), DEPLOY_ENV: environment, HOOK: name };
}

/** For a run whose environment has none, as of some timers. */
function home(): string {
  try {
    return userInfo().homedir;
  } catch {
    return '/'; // a container's user without an entry in /etc/passwd
  }
}

function howItEnded({ status, signal }: HookEnd): string {
  return signal ? `was ended by ${signal}` : `exited with ${status}`;
}

/** What is true when a `pre-` hook has failed. */
const STATE: Partial<Record<HookName, string>> = {
  'pre-backup': '; there is no new backup',
  'pre-deploy': '; nothing was changed',
};

function refusal(config: Config, name: HookName, { what, hint }: Problem): OperationalError {
  return new OperationalError(`the hook ${pathOf(config, name)} ${what}${STATE[name] ?? ''}`, hint);
}

function failure(config: Config, name: HookName, end: HookEnd, seconds: number): OperationalError {
  const how = end.timedOut ? `did not end in ${seconds} s (HOOK_TIMEOUT)` : howItEnded(end);
  const file = end.output.trim() === '' ? undefined : logFile();
  const lines = redact(end.output).trimEnd().split('\n').slice(-SHOWN_LINES);
  return new OperationalError(
    `the hook ${name} ${how}${STATE[name] ?? ''}`,
    `correct ${pathOf(config, name)}, or move it away.${file ? ` All that it wrote is in ${file}.` : ''}`,
    undefined,
    { details: lines.map(line => line.slice(0, 300)).join('\n') },
  );
}

/** @returns executable files whose names look like those of hooks, such as `post-deploy.sh` and `pre_backup` */
function misnamed({ hooksDir }: Config): string[] {
  let names: string[];
  try {
    names = readdirSync(hooksDir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') log.warnOnce(`can't look for hooks: ${messageOf(error)}`);
    return [];
  }
  return names
    .filter(name => /^(pre|post|on)[-_]/i.test(name) && !/\.(sample|bak|off|disabled)$|~$/.test(name))
    .filter(name => !HOOKS.includes(name as HookName))
    .map(name => join(hooksDir, name))
    .filter(path => problemOf(path) === undefined);
}
