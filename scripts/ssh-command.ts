#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { join } from 'node:path';
import { command, execute, type Result } from './lib/cli/command.ts';
import { detachedRuns, follow, forgetOldRuns, isRunning, startDetached } from './lib/cli/detached-runs.ts';
import { word } from './lib/core/command-line.ts';
import { Exit, OperationalError, usageError } from './lib/core/errors.ts';
import { log, logTo } from './lib/core/log.ts';
import { CommandError, run } from './lib/core/shell.ts';
import { TAG } from './lib/docker/images.ts';

const IMAGE = `(?:${TAG}|sha256:[0-9a-f]{64})`;
const RELEASE = `(?:${TAG}|sha256:[0-9a-f]{12,64})`; // as in rollback.ts --list
const RUN = '[A-Za-z0-9-]{1,64}';

/** The commands that a key can run. A match is split at its spaces; no shell reads it. */
const ACCEPTED: [form: string, pattern: RegExp][] = [
  [
    'deploy <tag or digest> [<digest>] [--surge] [--plan] [--run <name>]',
    new RegExp(`^deploy ${IMAGE}(?: ${IMAGE})?(?: --surge)?(?: --plan)?(?: --run (?<run>${RUN}))?$`),
  ],
  [
    'rollback [<release>|--list] [--run <name>]',
    new RegExp(`^rollback(?: ${RELEASE}| --list)?(?: --run (?<run>${RUN}))?$`),
  ],
  ['health-check [--json|--verbose]', /^health-check(?: --json| --verbose)?$/],
  ['follow [<name>]', new RegExp(`^follow(?: (?<run>${RUN}))?$`)],
];

export const sshCommand = command({
  summary: 'Run the few commands that the SSH key of a deployment is allowed to run.',
  usage: ['--env production|staging'],
  details:
    'The forced command of a key; ~/.ssh/authorized_keys has, in one line:\n' +
    `  restrict,command="${word(join(import.meta.dirname, 'ssh-command.ts'))} --env production" ssh-ed25519 AAAA…\n` +
    'The client sends one of these commands; it can’t choose the environment:\n' +
    ACCEPTED.map(([form]) => `  ${form}`).join('\n') +
    '\ndeploy and rollback continue when the connection is lost. The same --run again does not start a second run,\n' +
    'but shows the first one from its beginning. follow shows the run that is running, or else the last one.',
  options: {},
  examples: [
    ['ssh-command.ts --env production', 'as in authorized_keys; lists the commands'],
    ["ssh deploy@server 'deploy v2.4.0'", 'from a workflow, or by hand with its key'],
    ['ssh deploy@server follow', 'show a run after the connection was lost'],
  ],
  exitCodes: [
    [Exit.usage, 'command not allowed; nothing was started'],
    [Exit.locked, 'another deploy or rollback is running'],
    [Exit.failed, 'the followed run ended without an exit code'],
    [Exit.done, 'this and all other codes: the exit code of the script'],
  ],
  async run({ options, config: load }): Promise<Result> {
    if (!options.env) throw usageError('the key’s line has no --env', 'add it in ~/.ssh/authorized_keys.');
    const { logDir } = load();
    logTo(join(logDir, 'ssh-command.log'));
    const requested = process.env.SSH_ORIGINAL_COMMAND ?? '';
    const from = process.env.SSH_CONNECTION?.split(' ')[0] ?? 'this server';
    const { verb, name, readOnly, argv } = accept(requested, from, options.env);
    if (verb === 'follow') return { exitCode: await followOne(logDir, name) };
    if (readOnly) return runReadOnly(argv);
    return { exitCode: await change(logDir, verb, name, argv, `${requested}, from ${from}`) };
  },
});

/**
 * @param requested the client's command
 * @param from the client's address
 * @returns the script with its arguments, or the name of a run to follow
 * @throws a usage error for a command that is not in {@link ACCEPTED}
 */
export function accept(requested: string, from: string, environment: string) {
  for (const [, pattern] of ACCEPTED) {
    const match = pattern.exec(requested);
    if (!match) continue;
    const name = match.groups?.run;
    const [verb = '', ...words] = requested.split(' ');
    const args = words.includes('--run') ? words.slice(0, -2) : words;
    const readOnly = verb === 'health-check' || args.includes('--plan') || args.includes('--list');
    const script = join(import.meta.dirname, `${verb}.ts`);
    const argv = [script, ...args, '--env', environment, ...(readOnly ? [] : ['--yes'])];
    return { verb, name, readOnly, argv };
  }
  const what = requested === '' ? 'a shell' : JSON.stringify(requested.slice(0, 300));
  throw usageError(
    `this key is not allowed to run ${what}, requested from ${from}`,
    `allowed commands:${ACCEPTED.map(([form]) => `\n      ${form}`).join('')}`,
  );
}

/** Runs a command that changes nothing; it ends with the connection. */
async function runReadOnly(argv: string[]): Promise<Result> {
  try {
    await run(argv, { purpose: 'run the script', stdout: 1, stderr: 'inherit', timeout: 900 });
    return {};
  } catch (error) {
    if (error instanceof CommandError && error.status !== null) return { exitCode: error.status };
    throw error;
  }
}

/** Starts a run that continues without the connection, unless one of this name exists, and follows it to its end. */
export async function change(
  logDir: string,
  verb: string,
  name: string | undefined,
  argv: string[],
  requested: string,
) {
  const runs = detachedRuns(logDir);
  const known = runs.find(each => each.verb === verb && each.id === name);
  if (known) return follow(known);
  for (const each of runs) {
    if (!(await isRunning(each))) continue;
    throw new OperationalError(
      `a ${each.verb} is running: ${each.id}`,
      `follow ${each.id} shows it.`,
      Exit.locked,
    );
  }
  forgetOldRuns(logDir);
  const started = await startDetached(logDir, verb, name ?? String(process.pid), argv);
  log.info(`${requested}; run ${started.id} continues without this connection`);
  return follow(started);
}

export async function followOne(logDir: string, name: string | undefined): Promise<number> {
  const runs = detachedRuns(logDir).filter(each => name === undefined || each.id === name);
  for (const each of runs) if (await isRunning(each)) return follow(each);
  if (runs[0]) return follow(runs[0]);
  throw usageError('there is no such run', 'only a deploy or rollback can be followed.');
}

if (import.meta.main) await execute(sshCommand);
