#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { confirm, requireTerminal } from './lib/cli/confirm.ts';
import type { Config, Images } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { plural } from './lib/core/format.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { type Journal, newJournal, readJournal, refuseUnfinished } from './lib/deploy/journal.ts';
import { describePlan, type Plan, planDeployment } from './lib/deploy/plan.ts';
import { reportDeploy } from './lib/deploy/report.ts';

import { resolveMigration } from './lib/deploy/resolve.ts';
import { resumeDeploy, revertDeploy, runDeploy } from './lib/deploy/run-deploy.ts';
import { namedImages } from './lib/docker/images.ts';
import { runHook } from './lib/hooks/hooks.ts';
import { contracting } from './lib/migrations/pending.ts';
import { refuseUnfinishedRotation } from './lib/secrets/rotation-journal.ts';

export const deploy = command({
  summary: 'Deploy a release without losing a request, and roll back if it is worse than the previous one.',
  usage: [
    'TAG [--env production|staging] [--plan] [--surge] [--yes] [--skip-backup --reason TEXT] [--json]',
    'BACKEND [FRONTEND] …',
    'BACKEND --resolve MIGRATION …',
    '--resume | --revert',
  ],
  details:
    'A tag selects both images, a digest (sha256:…) only one. Backs up, migrates once, then drains and replaces one\n' +
    'instance after the other.',
  options: {
    plan: {
      type: 'boolean',
      help: 'check everything and show what would be done; pulls the backend’s image',
    },
    surge: { type: 'boolean', help: 'run one more instance during the deployment, to keep the capacity' },
    yes: { type: 'boolean', help: 'do not ask for confirmation' },
    'skip-backup': { type: 'boolean', help: 'make no backup; needs --reason' },
    reason: { type: 'string', value: 'TEXT', help: 'why there is no backup; stored with the release' },
    resolve: {
      type: 'string',
      value: 'MIGRATION',
      help: 'only record a failed migration as rolled back, in a container of the release',
    },
    resume: { type: 'boolean', help: 'finish a killed deployment or rollback' },
    revert: { type: 'boolean', help: 'roll back a killed deployment or rollback' },
  },
  examples: [
    ['deploy.ts v2.4.0 --plan', 'show what would be done, with the risks of its migrations'],
    ['deploy.ts v2.4.0', 'deploy both images of that tag'],
    ['deploy.ts sha256:… sha256:… --env staging --yes', 'deploy by digest, as the workflow does'],
    ['deploy.ts --resume', 'finish after a power loss or kill -9'],
  ],
  exitCodes: [
    [Exit.done, 'deployed, verified and watched'],
    [Exit.failed, 'failed; the report says what serves now'],
    [Exit.usage, 'wrong flags, arguments or configuration, or not confirmed'],
    [Exit.verification, 'an instance does not run its image; rolled back'],
    [Exit.locked, 'another run holds the lock'],
    [Exit.sigint, 'interrupted, and rolled back'],
  ],
  positionals: 2,
  changesState: true,
  async run({ options, positionals, config: load }) {
    if (!positionals[0] && !options.resume && !options.revert)
      throw usageError('the tag or digest to deploy is missing', 'give one, or see --help.');
    const config = load();
    logTo(`${config.logDir}/deploy.log`);
    if (options['skip-backup'] && !options.reason)
      throw usageError('--skip-backup needs a reason', 'add --reason TEXT; it is stored with the release.');
    if (options.plan && options.resolve !== undefined)
      throw usageError('--plan does not go with --resolve', 'leave one of them out.');
    if (!options.plan) requireTerminal(options.yes);
    return withLock(config.stateDir, config.environment, 'deploy.ts', async () => {
      if (options.resume || options.revert) return finish(config, options.resume === true, options.yes);
      const wanted = wantedImages(config, positionals);
      if (options.resolve !== undefined)
        return resolveMigration(config, wanted.backend, options.resolve, options.yes);
      refuseUnfinished(config);
      refuseUnfinishedRotation(config);
      const plan = await planDeployment(config, wanted, {
        surge: options.surge === true,
        backup: !options['skip-backup'],
      });
      if (options.plan) return { text: describePlan(plan).join('\n'), json: planJson(plan) };
      for (const line of describePlan(plan)) log.info(line);
      await confirm(question(config, plan), config.environment, options.yes);
      const { release, images, previous, migrations } = plan;
      const names = migrations.map(({ name }) => name);
      await runHook(config, 'pre-deploy', { release, images, previous, migrations: names });
      log.changesBegin();
      const journal = journalOf(config, plan, options['skip-backup'] ? options.reason : undefined);
      return reportDeploy(config, await runDeploy(config, journal));
    });
  },
});

function wantedImages({ images, envFile }: Config, [backend = '', frontend]: string[]): Images {
  if (!images)
    throw usageError('BACKEND_IMAGE and FRONTEND_IMAGE are not both set', `set both in ${envFile}.`);
  return namedImages(images, backend, frontend);
}

/** @returns what --plan --json prints; its `unwell` is the key of the critical checks in the journal's file, too */
export function planJson({ criticalBefore: unwell, ...plan }: Plan) {
  return { ...plan, unwell };
}

function question(config: Config, { release, migrations }: Plan): string {
  const count = contracting(migrations).length;
  const warning =
    count > 0
      ? ` After ${plural(count, 'contracting migration')} a rollback needs the data of the backup.`
      : '';
  return `This deploys ${release} to ${config.environment}.${warning}`;
}

function journalOf(config: Config, plan: Plan, skipped: string | undefined): Journal {
  const { release, images, previous, migrations, servers, criticalBefore, surge } = plan;
  return newJournal(
    config,
    {
      kind: 'deploy',
      release,
      images,
      previous,
      migrations: migrations.map(({ name }) => name),
      contracting: contracting(migrations),
      backup: skipped ? `skipped: ${skipped}` : null,
    },
    { servers, criticalBefore, surge },
  );
}

/** Finishes or reverts a killed deployment. */
async function finish(config: Config, resume: boolean, yes: boolean | undefined) {
  const journal = readJournal(config);
  if (!journal) throw usageError('no deployment was interrupted', 'give a tag to start one.');
  const { kind, release } = journal.release;
  const name = kind === 'rollback' ? `the rollback to ${release}` : release;
  const what = resume ? `finishes ${name}` : `reverts ${name}`;
  await confirm(`This ${what}.`, config.environment, yes);
  log.changesBegin();
  const end = resume ? resumeDeploy : revertDeploy;
  return reportDeploy(config, await end(config, journal));
}

if (import.meta.main) await execute(deploy);
