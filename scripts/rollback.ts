#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { confirm, hasTerminal, requireTerminal } from './lib/cli/confirm.ts';
import { SOME_BACKUP } from './lib/cli/help.ts';
import { refuseWrongEnvFiles } from './lib/config/application.ts';
import { refuseUnwritable } from './lib/config/env-file.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { table } from './lib/core/format.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { preflight } from './lib/core/preflight.ts';
import { pullWithRoom } from './lib/deploy/capacity.ts';
import { newJournal, refuseUnfinished } from './lib/deploy/journal.ts';
import { runningImages } from './lib/deploy/plan.ts';
import {
  chooseRelease,
  reachable,
  readReleases,
  refuseUnwritableReleases,
  type Target,
} from './lib/deploy/releases.ts';
import { reportDeploy } from './lib/deploy/report.ts';
import { planRestore } from './lib/deploy/rollback-database.ts';
import { refuseOnlyOne } from './lib/deploy/rolling-update.ts';
import { runDeploy } from './lib/deploy/run-deploy.ts';
import { shortName } from './lib/docker/images.ts';
import { criticalChecks } from './lib/health/all-checks.ts';
import { checkHooks } from './lib/hooks/hooks.ts';
import { refuseUnwritableSwitch } from './lib/nginx/maintenance.ts';
import { nginxTimes, testNginx } from './lib/nginx/reload.ts';
import { refuseOutdatedSettings } from './lib/nginx/settings.ts';
import { refuseUnwritableLists, wantedBackends } from './lib/nginx/upstreams.ts';
import { refuseUnfinishedRotation } from './lib/secrets/rotation-journal.ts';

export const rollback = command({
  summary: 'Go back to an earlier release, without losing a request.',
  usage: ['[RELEASE] [--env production|staging] [--with-database BACKUP] [--yes] [--json]', '--list'],
  details:
    'Without RELEASE: the previous release. After a contracting migration it needs the earlier database:\n' +
    '--with-database restores it. Visitors see the maintenance page during the rollback. Data written since the backup\n' +
    'stays in the kept database.',
  options: {
    list: { type: 'boolean', help: 'list the releases to go back to' },
    'with-database': { type: 'string', value: 'BACKUP', help: 'also restore this backup: its id, or latest' },
    'allow-foreign': {
      type: 'boolean',
      help: 'with --yes: also a backup of another app, environment or database, or without this server’s signature',
    },
    'allow-small': {
      type: 'boolean',
      help: 'also a backup that has less than a tenth of the live database’s rows',
    },
    yes: { type: 'boolean', help: 'do not ask for confirmation' },
  },
  examples: [
    ['rollback.ts --list', 'list the releases, the newest first'],
    ['rollback.ts', 'go back to the previous release'],
    [`rollback.ts v2 --with-database ${SOME_BACKUP}`, 'go back past a contracting migration'],
  ],
  exitCodes: [
    [Exit.done, 'the older release serves'],
    [Exit.failed, 'failed; the report says what serves now'],
    [Exit.usage, 'no such release, a contracting migration since, or not confirmed'],
    [Exit.verification, 'the backup is missing or damaged, or differs after loading'],
    [Exit.locked, 'another run holds the lock'],
  ],
  positionals: 1,
  changesState: true,
  async run({ options, positionals, config: load }) {
    const config = load();
    logTo(`${config.logDir}/deploy.log`);
    const targets = reachable(readReleases(config));
    if (options.list) return { text: listReleases(targets), json: targets };
    // With --yes it would be the next error: it comes before advice to add that.
    if (!options.yes && !hasTerminal()) chooseRelease(targets, positionals[0]);
    requireTerminal(options.yes);
    const backup = options['with-database'];
    return withLock(config.stateDir, config.environment, 'rollback.ts', async () => {
      refuseUnfinished(config);
      refuseUnfinishedRotation(config);
      const target = chooseRelease(targets, positionals[0]);
      refuseContracted(target, backup);
      const [, previous, servers, criticalBefore] = await preflight(
        () => refuseWrongEnvFiles(config),
        () => runningImages(config),
        async () => wantedBackends(),
        () => criticalChecks(config),
        () => testNginx(config),
        () => refuseOutdatedSettings(config),
        async () => nginxTimes(),
        () => refuseUnwritable(config.envFile), // the images are written at the end
        () => refuseUnwritableLists(),
        () => refuseUnwritableReleases(config),
        async () => checkHooks(config, ['post-rollback', 'on-alert']),
        () => (backup ? refuseUnwritableSwitch() : Promise.resolve()),
        () => pullWithRoom(target.images),
      );
      refuseOnlyOne(servers, previous, target.images, null);
      const { yes, 'allow-foreign': allowForeign, 'allow-small': allowSmall } = options;
      const plan = backup ? await planRestore(config, backup, { yes, allowForeign, allowSmall }) : undefined;
      const also = backup ? `, and the database to ${backup}` : '';
      await confirm(
        `${plan?.warning ?? ''}This takes ${config.environment} back to ${target.release}${also}.`,
        config.environment,
        yes,
      );
      log.changesBegin();
      const { release, images } = target;
      const journal = newJournal(
        config,
        {
          kind: 'rollback',
          release,
          images,
          previous,
          migrations: [],
          contracting: [],
          backup: plan?.data.wanted ?? null,
        },
        { servers, criticalBefore, surge: null, data: plan?.data },
      );
      return reportDeploy(config, await runDeploy(config, journal));
    });
  },
});

function refuseContracted({ release, since }: Target, backup: string | undefined): void {
  if (since.length === 0 || backup) return;
  throw usageError(
    `${release} may fail after ${since.join(', ')}, which changed the schema`,
    'deploy a corrected version, or add --with-database BACKUP: ./scripts/list-backups.ts shows the backup made before each release.',
  );
}

function listReleases(targets: Target[]): string {
  if (targets.length === 0) return 'nothing has been deployed yet';
  const rows = targets.map(({ release, images, since, stopped }, index) => [
    index === 0 ? '→' : '',
    release,
    shortName(images.backend),
    shortName(images.frontend),
    index === 0
      ? stopped
        ? 'stopped: serves in part'
        : 'serves'
      : since.length === 0
        ? 'yes'
        : `only with the database: ${since.join(', ')}`,
  ]);
  return table(['', 'release', 'backend', 'frontend', 'rollback'], rows);
}

if (import.meta.main) await execute(rollback);
