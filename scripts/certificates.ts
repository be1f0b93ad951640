#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { installSelfSigned, obtain } from './lib/certificates/obtain.ts';
import { notifying, reportOf } from './lib/certificates/report.ts';
import { certificateStatus } from './lib/certificates/status.ts';
import { actionOf } from './lib/cli/action.ts';
import { command, execute } from './lib/cli/command.ts';
import { confirm } from './lib/cli/confirm.ts';
import type { Config } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { withLock } from './lib/core/lock.ts';
import { logTo } from './lib/core/log.ts';

interface Options {
  force?: boolean;
  'dry-run'?: boolean;
  yes?: boolean;
}

export const certificates = command({
  summary: 'Request, renew and check the certificate that Nginx serves.',
  usage: ['issue | renew | status | self-signed [--env production|staging] [--force] [--dry-run] [--json]'],
  details:
    '  issue        request a certificate for all names, with certbot, and serve it\n' +
    '  renew        the same when it is due; the schedule runs it\n' +
    '  status       names, issuer, end, next renewal, and what visitors are shown\n' +
    '  self-signed  serve a self-signed one, which clients refuse\n' +
    'A new certificate is checked before it is put in place (names, chain, key, dates). If visitors are not shown it after ' +
    'the reload of Nginx, the one before is put back.',
  options: {
    force: { type: 'boolean', help: 'request another one, also if the present one is not due' },
    'dry-run': { type: 'boolean', help: 'try the whole way with the authority; serve nothing new' },
    yes: { type: 'boolean', help: 'self-signed: do not ask for confirmation' },
  },
  examples: [
    ['certificates.ts issue --dry-run', 'find out whether the authority reaches this server'],
    ['certificates.ts issue', 'request the first certificate'],
    ['certificates.ts status', 'show what is served, and until when'],
    ['certificates.ts renew --force', 'replace a key that others may know'],
  ],
  exitCodes: [
    [Exit.done, 'done, or nothing is due; status: nothing is wrong'],
    [
      Exit.failed,
      'the authority refused or was not reached; the present one stays. status: something is wrong',
    ],
    [Exit.usage, 'wrong flags or configuration'],
    [Exit.verification, 'the new certificate was refused here, or not served; the one before is served'],
    [Exit.locked, 'another run holds the lock'],
  ],
  positionals: 1,
  changesState: ([action]) => action !== 'status',
  async run({ positionals: [word], options, config: load }) {
    const action = actionOf(word, ACTIONS, './scripts/certificates.ts status');
    const isRequest = action === 'issue' || action === 'renew';
    if (!isRequest && (options.force || options['dry-run']))
      throw usageError(`${action} has no --force and no --dry-run`, 'see --help.');
    return ACTIONS[action](load(), options);
  },
});

const ACTIONS = {
  issue: (config: Config, options: Options) => request(config, 'issue', options),
  renew: (config: Config, options: Options) => request(config, 'renew', options),

  async status(config: Config) {
    const { text, json } = await certificateStatus(config);
    return { text, json, exitCode: json.problems.length > 0 ? Exit.failed : Exit.done };
  },

  async 'self-signed'(config: Config, { yes }: Options) {
    const { environment, site, stateDir, logDir } = config;
    await confirm(`Clients will refuse a self-signed certificate of ${environment}.`, site.frontend, yes);
    logTo(`${logDir}/certificates.log`);
    return withLock(stateDir, environment, 'certificates.ts self-signed', async () =>
      reportOf(await installSelfSigned(config)),
    );
  },
};

async function request(config: Config, action: 'issue' | 'renew', options: Options) {
  const { environment, stateDir, logDir } = config;
  logTo(`${logDir}/certificates.log`);
  const wanted = { force: options.force, dryRun: options['dry-run'], renewal: action === 'renew' };
  return notifying(config, !options['dry-run'], async () =>
    reportOf(
      await withLock(stateDir, environment, `certificates.ts ${action}`, () => obtain(config, wanted)),
    ),
  );
}

if (import.meta.main) await execute(certificates);
