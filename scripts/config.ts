#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute, type Result } from './lib/cli/command.ts';
import { startRemarks } from './lib/config/application.ts';
import { type Config, environmentOf, loadConfig } from './lib/config/config.ts';
import { envFileProblem } from './lib/config/env-file-check.ts';
import { misnamed, nearestName, unknownNames } from './lib/config/known-names.ts';
import { type Listing, listing } from './lib/config/listing.ts';
import { listingText, variableText } from './lib/config/listing-text.ts';
import { splitEnvFile } from './lib/config/split.ts';
import { writeUrls } from './lib/config/write-urls.ts';
import { Exit, textOf, usageError } from './lib/core/errors.ts';
import { terminalWidth } from './lib/core/format.ts';
import { withLockUnless } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { refuseUnfinishedRotation } from './lib/secrets/rotation-journal.ts';

export const config = command({
  summary: 'Show each variable, its value, and where that comes from. Secrets are masked.',
  usage: [
    '[NAME] [--env production|staging] [--json]',
    '--write [--env production|staging] [--dry-run]',
    '--split [--env production|staging] [--dry-run]',
  ],
  details:
    'A value comes from the first of these that has it: the environment, .env.<environment> (with its line here), the ' +
    'default. Names that no script reads are listed with the name that was probably meant.\n' +
    'With --write or --split it changes the env files. Containers keep the variables that they were created with: the ' +
    'next release replaces the backends without losing a request.',
  options: {
    write: {
      type: 'boolean',
      help: 'write DATABASE_URL and REDIS_URL, made of their parts and percent-encoded; a URL of another server stays',
    },
    split: {
      type: 'boolean',
      help: 'move the variables of the application from .env.<environment> to .env.<environment>.app',
    },
    'dry-run': {
      type: 'boolean',
      help: 'with --write or --split: show what would be changed, and change nothing',
    },
  },
  examples: [
    ['config.ts', 'all variables of production, and all that is wrong with them'],
    ['config.ts BACKUP_DIR', 'one variable, with what it means'],
    ['config.ts --env staging --json', 'for another program'],
    ['config.ts --write', 'after a new password'],
    ['config.ts --split --dry-run', 'which variables are the application’s?'],
  ],
  exitCodes: [
    [Exit.done, 'no value is wrong; with --write or --split: done, or nothing to do'],
    [Exit.failed, 'a file can’t be written'],
    [Exit.usage, 'a value or name is wrong, or the file can’t be used; or wrong flags: nothing was changed'],
    [Exit.locked, 'another run holds the lock'],
  ],
  positionals: 1,
  changesState: (_, { write, split }) => Boolean(write || split),
  async run({ options, positionals: [name], config: load }) {
    const { write, split } = options;
    const looking = options['dry-run'] === true;
    if (!write && !split) {
      if (looking) throw usageError('nothing to do', 'add --write or --split, see --help.');
      return show(options.env, name);
    }
    if (name !== undefined) throw usageError('--write and --split take no name', 'see --help.');
    return change(load(), { write, split, looking });
  },
});

function show(env: string | undefined, name: string | undefined): Result {
  const environment = environmentOf(env);
  const all = listing(environment);
  const found = all.variables.find(variable => variable.name === name);
  if (name !== undefined && !found) throw noVariable(name);
  const problem = envFileProblem(environment, all.file, process.env);
  if (problem) log.error(textOf(problem));
  if (found) {
    const exitCode = problem || found.problem !== undefined ? Exit.usage : Exit.done;
    return { text: variableText(found, terminalWidth()), json: found, exitCode };
  }
  // Not an error: a server for backups only has no backends.
  const remarks = all.exists && all.problems.length === 0 ? startRemarks(loadConfig(environment)) : [];
  for (const { message, hint } of remarks) log.warn(`for the backends: ${message}\n  → ${hint}`);
  const isWrong = problem !== undefined || all.problems.length > 0 || hasMisnamed(all);
  return {
    text: listingText(all, terminalWidth()),
    json: { environment, ...all, backends: remarks },
    exitCode: isWrong ? Exit.usage : Exit.done,
  };
}

const hasMisnamed = ({ unknown }: Listing) => unknown.some(each => misnamed(each) !== undefined);

function noVariable(name: string) {
  const near = nearestName(name);
  const [retired] = unknownNames([name]).filter(({ kind }) => kind === 'retired');
  return usageError(
    `no variable is called ${JSON.stringify(name)}`,
    retired ? `set ${retired.instead}.` : `${near ? `is ${near} meant? ` : ''}./scripts/config.ts lists all.`,
  );
}

/** Moves what is to be moved, then writes what is to be written. */
function change(
  config: Config,
  { write, split, looking }: { write?: boolean; split?: boolean; looking: boolean },
): Promise<Result> {
  logTo(`${config.logDir}/config.log`, looking);
  return withLockUnless(looking, config.stateDir, config.environment, 'config.ts', async () => {
    if (write) refuseUnfinishedRotation(config);
    if (!looking) log.changesBegin();
    const moved = split ? await splitEnvFile(config, looking) : [];
    const { written, lines } = write ? await writeUrls(config, looking) : { written: [], lines: [] };
    const to = `${looking ? 'would be moved' : 'moved'} to ${config.appFile}: ${moved.join(', ')}`;
    const text = [...(split ? [moved.length > 0 ? to : 'no variable to move'] : []), ...lines].join('\n');
    return { text, json: { dryRun: looking, moved, written } };
  });
}

if (import.meta.main) await execute(config);
