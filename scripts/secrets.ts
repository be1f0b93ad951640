#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { type Config, environmentOf } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { withLockUnless } from './lib/core/lock.ts';
import { logTo } from './lib/core/log.ts';
import { generate } from './lib/secrets/generate.ts';
import { settingsOnGitHub } from './lib/secrets/github.ts';
import { status, verify } from './lib/secrets/report.ts';

interface Options {
  'dry-run'?: boolean;
  for?: string;
  env?: string;
}

export const secrets = command({
  summary: 'Make, check and list the secrets of the env files. No value is ever shown.',
  usage: ['generate [--dry-run] | verify | status | export --for github [--env production|staging] [--json]'],
  details:
    '  generate  fill what is empty, 64 random characters each; what is set stays\n' +
    '  verify    find what is missing, a placeholder, weak, the same in staging and\n' +
    '            production, tracked by Git, or readable by others\n' +
    '  status    the age of each, and when it is due\n' +
    '  export    the names of what the workflows need, and where each goes',
  options: {
    'dry-run': { type: 'boolean', help: 'generate: name what would be set, and change nothing' },
    for: { type: 'string', value: 'github', help: 'export: whose names' },
  },
  examples: [
    ['secrets.ts verify', 'what is wrong with the secrets of production, and who can read them'],
    ['secrets.ts generate --env staging', 'fill what is empty in .env.staging and .env.staging.app'],
    ['secrets.ts status', 'which are due?'],
    ['secrets.ts export --for github', 'what to set in the repository and its environments'],
  ],
  exitCodes: [
    [Exit.done, 'done; verify: no fault; status: nothing is due'],
    [Exit.failed, 'a file can’t be written; status: a secret is due'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'verify: a fault'],
    [Exit.locked, 'another run holds the lock'],
  ],
  positionals: 1,
  changesState: ([action]) => action === 'generate',
  async run({ positionals: [action], options, config: load }) {
    if (action === undefined || !Object.hasOwn(ACTIONS, action))
      throw usageError(
        action === undefined ? 'missing action' : `unknown action ${JSON.stringify(action)}`,
        `use one of ${Object.keys(ACTIONS).join(', ')}: ./scripts/secrets.ts status`,
      );
    if (options['dry-run'] && action !== 'generate')
      throw usageError(`${action} has no --dry-run`, 'see --help.');
    if (options.for !== (action === 'export' ? 'github' : undefined))
      throw usageError(
        'export is for github, and --for belongs to it',
        './scripts/secrets.ts export --for github',
      );
    return ACTIONS[action as keyof typeof ACTIONS](load, options);
  },
});

const ACTIONS = {
  async generate(load: () => Config, { 'dry-run': looking = false }: Options) {
    const config = load();
    logTo(`${config.logDir}/secrets.log`, looking);
    return withLockUnless(looking, config.stateDir, config.environment, 'secrets.ts generate', () =>
      generate(config, looking),
    );
  },
  verify: async (load: () => Config) => verify(load()),
  status: async (load: () => Config) => status(load()),
  export: async (_: () => Config, { env }: Options) => settingsOnGitHub(environmentOf(env)),
};

if (import.meta.main) await execute(secrets);
