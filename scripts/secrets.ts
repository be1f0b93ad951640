#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { actionOf } from './lib/cli/action.ts';
import { command, execute } from './lib/cli/command.ts';
import { type Config, environmentOf } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { withLockUnless } from './lib/core/lock.ts';
import { logTo } from './lib/core/log.ts';
import { generate } from './lib/secrets/generate.ts';
import { settingsOnGitHub } from './lib/secrets/github.ts';
import { status, verify } from './lib/secrets/report.ts';
import { rotateWanted } from './lib/secrets/rotate-many.ts';

interface Options {
  'dry-run'?: boolean;
  for?: string;
  env?: string;
  due?: boolean;
  resume?: boolean;
  yes?: boolean;
}

export const secrets = command({
  summary: 'Make, check and replace the secrets of the env files. No value is ever shown.',
  usage: [
    'generate [--dry-run] | verify | status | export --for github [--env production|staging] [--json]',
    'rotate NAME | --due | --resume [--yes] [--dry-run] …',
  ],
  details:
    '  generate  fill what is empty, 64 random characters each; what is set stays\n' +
    '  verify    find what is missing, a placeholder, weak, the same in staging and\n' +
    '            production, tracked by Git, or readable by others\n' +
    '  rotate    replace a secret in the service, the file and the backends, without\n' +
    '            losing a request\n' +
    '  status    the age of each, and when it is due\n' +
    '  export    the names of what the workflows need, and where each goes',
  options: {
    'dry-run': { type: 'boolean', help: 'generate, rotate: name what would be done, and change nothing' },
    due: { type: 'boolean', help: 'rotate: all that are as old as the policy allows' },
    resume: { type: 'boolean', help: 'rotate: finish a rotation that was killed or has failed' },
    yes: { type: 'boolean', help: 'rotate: do not ask for confirmation' },
    for: { type: 'string', value: 'github', help: 'export: whose names' },
  },
  examples: [
    ['secrets.ts verify', 'what is wrong with the secrets of production, and who can read them'],
    ['secrets.ts generate --env staging', 'fill what is empty in .env.staging and .env.staging.app'],
    ['secrets.ts status', 'which are due?'],
    ['secrets.ts rotate APP_DB_PASSWORD --dry-run', 'what would be done'],
    ['secrets.ts rotate JWT_SECRET', 'replace one'],
    ['secrets.ts rotate --resume', 'finish after a power loss or kill -9'],
    ['secrets.ts export --for github', 'what to set in the repository and its environments'],
  ],
  exitCodes: [
    [Exit.done, 'done; verify: no fault; status: nothing is due'],
    [Exit.failed, 'a file can’t be written; status: a secret is due; rotate: not finished, the stack works'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'verify: a fault'],
    [Exit.locked, 'another run holds the lock'],
    [Exit.sigint, 'interrupted; rotate: --resume finishes it'],
  ],
  positionals: 2,
  changesState: ([action]) => action === 'generate' || action === 'rotate',
  async run({ positionals: [word, name], options, config: load }) {
    const action = actionOf(word, ACTIONS, './scripts/secrets.ts status');
    refuseOptions(action, name, options);
    return ACTIONS[action](load, options, name);
  },
});

/** Which actions an option belongs to. */
const BELONGS = {
  'dry-run': ['generate', 'rotate'],
  due: ['rotate'],
  resume: ['rotate'],
  yes: ['rotate'],
  for: ['export'],
} as const;

function refuseOptions(action: string, name: string | undefined, options: Options): void {
  for (const [option, actions] of Object.entries(BELONGS))
    if (options[option as keyof typeof BELONGS] && !actions.some(each => each === action))
      throw usageError(`${action} has no --${option}`, 'see --help.');
  if (name !== undefined && action !== 'rotate') throw usageError(`${action} takes no name`, 'see --help.');
  if (action === 'export' && options.for !== 'github')
    throw usageError('export is for github only', './scripts/secrets.ts export --for github');
}

const ACTIONS = {
  async generate(load: () => Config, { 'dry-run': looking = false }: Options) {
    const config = load();
    logTo(`${config.logDir}/secrets.log`, looking);
    return withLockUnless(looking, config.stateDir, config.environment, 'secrets.ts generate', () =>
      generate(config, looking),
    );
  },
  async rotate(load: () => Config, { 'dry-run': looking = false, due, resume, yes }: Options, name?: string) {
    const config = load();
    const doing = `secrets.ts rotate ${name ?? (due ? '--due' : '--resume')}`;
    logTo(`${config.logDir}/secrets.log`, looking);
    return withLockUnless(looking, config.stateDir, config.environment, doing, () =>
      rotateWanted(config, { name, due, resume, yes, looking }),
    );
  },
  verify: async (load: () => Config) => verify(load()),
  status: async (load: () => Config) => status(load()),
  export: async (_: () => Config, { env }: Options) => settingsOnGitHub(environmentOf(env)),
};

if (import.meta.main) await execute(secrets);
