#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { confirm, requireTerminal } from './lib/cli/confirm.ts';
import type { Config, Images } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { plural } from './lib/core/format.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { describePlan, type Plan, planDeployment } from './lib/deploy/plan.ts';
import { type Journal, newJournal, readJournal, refuseUnfinished } from './lib/deploy/releases.ts';
import { conclusion } from './lib/deploy/report.ts';
import { carryOut, goBack, goOn } from './lib/deploy/run-deploy.ts';
import { namedImages } from './lib/docker/images.ts';
import { contracting } from './lib/migrations/pending.ts';

export const deploy = command({
  summary:
    'Deploy a release without losing a request, and go back by itself if it is worse than the one before.',
  usage: [
    'TAG [--env production|staging] [--plan] [--surge] [--yes] [--skip-backup --reason TEXT] [--json]',
    'BACKEND [FRONTEND] …',
    '--resume | --revert',
  ],
  details:
    'One tag means both images; a digest (sha256:…) names one, and what is not named stays as it is. Backs up, migrates\n' +
    'once, then replaces one instance after the other, each out of Nginx’s list until its requests are answered.',
  options: {
    plan: {
      type: 'boolean',
      help: 'look at everything, say what would be done; the backend’s image is pulled',
    },
    surge: { type: 'boolean', help: 'one instance more meanwhile, so that capacity never drops' },
    yes: { type: 'boolean', help: 'don’t ask' },
    'skip-backup': { type: 'boolean', help: 'no backup before; needs --reason' },
    reason: { type: 'string', value: 'TEXT', help: 'why there is no backup, for the record' },
    resume: { type: 'boolean', help: 'finish what a killed deployment began' },
    revert: { type: 'boolean', help: 'take back what a killed deployment began' },
  },
  examples: [
    ['deploy.ts v2.4.0 --plan', 'what would happen, migrations judged'],
    ['deploy.ts v2.4.0', 'both images of that tag'],
    ['deploy.ts sha256:… sha256:… --env staging --yes', 'as the workflow does'],
    ['deploy.ts --resume', 'after a lost server or a kill -9'],
  ],
  exitCodes: [
    [Exit.done, 'deployed, verified, watched'],
    [Exit.failed, 'failed; what serves now is said'],
    [Exit.usage, 'wrong flags, arguments or configuration, or not confirmed'],
    [Exit.verification, 'an instance does not run what it should; taken back'],
    [Exit.locked, 'another run holds the lock'],
    [Exit.sigint, 'interrupted, and taken back'],
  ],
  positionals: 2,
  changesState: true,
  async run({ options, positionals, config: load }) {
    const config = load();
    logTo(`${config.logDir}/deploy.log`);
    if (options['skip-backup'] && !options.reason)
      throw usageError('--skip-backup needs a reason', 'add --reason TEXT; it is kept with the release.');
    if (!options.plan) requireTerminal(options.yes);
    return withLock(config.stateDir, config.environment, 'deploy.ts', async () => {
      if (options.resume || options.revert) return finish(config, options.resume === true, options.yes);
      const wanted = wantedImages(config, positionals);
      await refuseUnfinished(config);
      const plan = await planDeployment(config, wanted, {
        surge: options.surge === true,
        backup: !options['skip-backup'],
      });
      if (options.plan) return { text: describePlan(plan).join('\n'), json: plan };
      for (const line of describePlan(plan)) log.info(line);
      await confirm(question(config, plan), config.environment, options.yes);
      log.changesBegin();
      const journal = journalOf(config, plan, options['skip-backup'] ? options.reason : undefined);
      return conclusion(config, await carryOut(config, journal));
    });
  },
});

function wantedImages(config: Config, [backend, frontend]: string[]): Images {
  if (!config.images)
    throw usageError('BACKEND_IMAGE and FRONTEND_IMAGE are not set', 'set both in the env file.');
  if (!backend) throw usageError('what shall be deployed?', 'give a tag, or --help.');
  return namedImages(config.images, backend, frontend);
}

function question(config: Config, { release, migrations }: Plan): string {
  const hard = contracting(migrations);
  const warning =
    hard.length > 0
      ? ` After ${plural(hard.length, 'migration')} that takes something away there is no way back without the backup’s data.`
      : '';
  return `This deploys ${release} to ${config.environment}.${warning}`;
}

function journalOf(config: Config, { notes: _, ...plan }: Plan, skipped: string | undefined): Journal {
  return newJournal(config, {
    ...plan,
    kind: 'deploy',
    migrations: plan.migrations.map(({ name }) => name),
    contracting: contracting(plan.migrations),
    backup: skipped ? `skipped: ${skipped}` : null,
  });
}

/** What a killed run has left, to its end or back. */
async function finish(config: Config, forward: boolean, yes: boolean | undefined) {
  const journal = await readJournal(config);
  if (!journal) throw usageError('no deployment was interrupted', 'give a tag to begin one.');
  const direction = forward
    ? `finishes ${journal.release}`
    : `goes back to the release before ${journal.release}`;
  await confirm(`This ${direction}.`, config.environment, yes);
  log.changesBegin();
  return conclusion(config, await (forward ? goOn(config, journal) : goBack(config, journal)));
}

if (import.meta.main) await execute(deploy);
