#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import type { Config } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { withLock } from './lib/core/lock.ts';
import { logTo } from './lib/core/log.ts';
import { pageOff, pageOn, pageStatus } from './lib/maintenance/page.ts';

interface Options {
  allow?: string;
}

export const maintenance = command({
  summary: 'Switch the maintenance page on and off.',
  usage: ['on [--allow ADDRESS[,ADDRESS]] | off | status [--env production|staging] [--json]'],
  details:
    '  on      all visitors get 503 with Retry-After: a page, or JSON from the API\n' +
    '  off     the site is back; not while a rollback of the database is unfinished\n' +
    '  status  on or off, since when, who may pass, and what Nginx answers',
  options: {
    allow: {
      type: 'string',
      value: 'ADDRESS[,ADDRESS]',
      help: 'on: who sees the site anyway; of IPv6, the whole network of 64 bits',
    },
  },
  examples: [
    ['maintenance.ts on', 'the page for everybody; no reload, no restart'],
    [
      `maintenance.ts on --allow "\${SSH_CLIENT%% *}"`,
      'but not for the address that this SSH session comes from',
    ],
    ['maintenance.ts status', 'is it on?'],
  ],
  exitCodes: [
    [Exit.done, 'done; status: Nginx answers as it should, or is not running'],
    [Exit.failed, 'failed'],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'Nginx shows the page although it is off, or does not although it is on'],
    [Exit.locked, 'another run of this script switches it'],
  ],
  positionals: 1,
  changesState: ([action]) => action !== 'status',
  async run({ positionals: [action], options, config: load }) {
    if (action === undefined || !Object.hasOwn(ACTIONS, action))
      throw usageError(
        action === undefined ? 'missing action' : `unknown action ${JSON.stringify(action)}`,
        `use one of ${Object.keys(ACTIONS).join(', ')}: ./scripts/maintenance.ts status`,
      );
    if (options.allow !== undefined && action !== 'on')
      throw usageError(`${action} has no --allow`, 'see --help.');
    return ACTIONS[action as keyof typeof ACTIONS](load(), options);
  },
});

const ACTIONS = {
  on: (config: Config, { allow }: Options) => switching(config, 'on', () => pageOn(config, allow)),
  off: (config: Config) => switching(config, 'off', () => pageOff(config)),
  status: pageStatus,
};

/** A lock of its own: the page must not wait for the end of a backup. */
function switching<T>(config: Config, action: 'on' | 'off', work: () => Promise<T>): Promise<T> {
  logTo(`${config.logDir}/maintenance.log`);
  return withLock(config.stateDir, `${config.environment}.maintenance`, `maintenance.ts ${action}`, work);
}

if (import.meta.main) await execute(maintenance);
