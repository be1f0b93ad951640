#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { actionOf } from './lib/cli/action.ts';
import { command, execute } from './lib/cli/command.ts';
import type { Config } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { withLock } from './lib/core/lock.ts';
import { logTo } from './lib/core/log.ts';
import { monthly } from './lib/maintenance/monthly.ts';
import { pageOff, pageOn, pageStatus } from './lib/maintenance/page.ts';
import { weekly } from './lib/maintenance/weekly.ts';
import { notify } from './lib/notify/notify.ts';

interface Options {
  allow?: string;
  'kept-days'?: string;
  'dry-run'?: boolean;
  yes?: boolean;
}

/** Which actions have which options. */
const OF: Record<keyof Options, string[]> = {
  allow: ['on'],
  'kept-days': ['weekly'],
  'dry-run': ['weekly', 'monthly'],
  yes: ['weekly'],
};

export const maintenance = command({
  summary: 'Clean up each week, look for updates each month, and switch the maintenance page.',
  usage: [
    'weekly [--kept-days DAYS] [--dry-run] [--yes] [--env production|staging] [--json]',
    'monthly [--dry-run] [--env production|staging] [--json]',
    'on [--allow ADDRESS[,ADDRESS]] | off | status [--env production|staging] [--json]',
  ],
  details:
    '  weekly  remove images of old releases, leftovers and kept databases; VACUUM;\n' +
    '          report bloat, unused indexes and disks\n' +
    '  monthly newer patch versions and advisories; restore a random table into a\n' +
    '          scratch database; permissions\n' +
    '  on      all visitors get 503 with Retry-After: a page, or JSON from the API\n' +
    '  off     the site is back; not while a rollback of the database is unfinished\n' +
    '  status  on or off, since when, who may pass, and what Nginx answers\n' +
    'weekly never removes a backup, a volume, or an image that no release of this environment has used. A task that fails ' +
    'does not end the run.',
  options: {
    'kept-days': {
      type: 'string',
      value: 'DAYS',
      help: 'weekly: drop databases that restores kept so many days ago; default: none',
    },
    'dry-run': { type: 'boolean', help: 'weekly, monthly: show what would be done; change nothing' },
    yes: { type: 'boolean', help: 'weekly: do not ask for confirmation' },
    allow: {
      type: 'string',
      value: 'ADDRESS[,ADDRESS]',
      help: 'on: who sees the site anyway; of IPv6, the whole network of 64 bits',
    },
  },
  examples: [
    ['maintenance.ts weekly --dry-run', 'what there is to do'],
    ['maintenance.ts weekly --kept-days 7', 'do it, after you type the environment’s name'],
    ['maintenance.ts monthly', 'what is newer, and does a table of the newest backup come back?'],
    ['maintenance.ts on', 'the page for everybody; no reload, no restart'],
    [
      `maintenance.ts on --allow "\${SSH_CLIENT%% *}"`,
      'but not for the address that this SSH session comes from',
    ],
    ['maintenance.ts status', 'is it on?'],
  ],
  exitCodes: [
    [Exit.done, 'done; status: Nginx answers as it should, or is not running'],
    [
      Exit.failed,
      'failed; weekly, monthly: a task has failed, such as without a network; the others are done',
    ],
    [Exit.usage, 'wrong flags or configuration, or not confirmed'],
    [
      Exit.verification,
      'Nginx shows the page although it is off, or does not although it is on; monthly: no backup, or a damaged one',
    ],
    [Exit.offsite, 'monthly: S3 can’t be read'],
    [Exit.locked, 'another run holds the lock'],
  ],
  positionals: 1,
  changesState: ([action]) => action !== 'status',
  async run({ positionals: [word], options, config: load }) {
    const action = actionOf(word, ACTIONS, './scripts/maintenance.ts status');
    for (const [option, actions] of Object.entries(OF))
      if (options[option as keyof Options] !== undefined && !actions.includes(action))
        throw usageError(`${action} has no --${option}`, 'see --help.');
    return ACTIONS[action](load(), options);
  },
});

const ACTIONS = {
  async weekly(config: Config, { 'kept-days': days, 'dry-run': dryRun, yes }: Options) {
    if (days !== undefined && !/^[1-9]\d{0,3}$/.test(days))
      throw usageError(`--kept-days ${days} is no number of days`, 'give 1 or more, such as --kept-days 7.');
    logTo(`${config.logDir}/maintenance.log`, dryRun);
    const keptDays = days === undefined ? undefined : Number(days);
    const result = await weekly(config, { keptDays, dryRun, yes });
    const { json, exitCode } = result;
    const failed = json.tasks.filter(({ errors }) => errors.length > 0).map(({ task }) => task);
    if (failed.length > 0 && !dryRun)
      await notify(config, `weekly maintenance FAILED: ${failed.join(', ')}`, exitCode);
    return result;
  },

  async monthly(config: Config, { 'dry-run': dryRun }: Options) {
    logTo(`${config.logDir}/maintenance.log`, dryRun);
    return monthly(config, dryRun);
  },

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
