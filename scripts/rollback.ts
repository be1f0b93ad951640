#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { confirm, requireTerminal } from './lib/cli/confirm.ts';
import type { Config } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { table } from './lib/core/format.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { preflight } from './lib/core/preflight.ts';
import { runningImages } from './lib/deploy/plan.ts';
import {
  chooseRelease,
  newJournal,
  reachable,
  readReleases,
  refuseUnfinished,
  type Target,
} from './lib/deploy/releases.ts';
import { conclusion } from './lib/deploy/report.ts';
import { carryOut } from './lib/deploy/run-deploy.ts';
import { shortName } from './lib/docker/images.ts';
import { criticalLines } from './lib/health/critical.ts';
import { withMaintenance } from './lib/nginx/maintenance.ts';
import { nginxTimes, testNginx } from './lib/nginx/reload.ts';
import { wantedBackends } from './lib/nginx/upstreams.ts';
import { choose, type Restore } from './lib/restore/options.ts';
import { restoreFrom } from './restore.ts';

export const rollback = command({
  summary: 'Go back to a release that served before, without losing a request.',
  usage: ['[RELEASE] [--env production|staging] [--with-database BACKUP] [--yes] [--json]', '--list'],
  details:
    'Without RELEASE: the one before. A migration since that took something away stands in the way; then the database\n' +
    'goes back too, with --with-database: visitors see the maintenance page meanwhile, and what was written since is in\n' +
    'the kept database.',
  options: {
    list: { type: 'boolean', help: 'what there is to go back to' },
    'with-database': {
      type: 'string',
      value: 'BACKUP',
      help: 'restore this backup as well; its id, or latest',
    },
    yes: { type: 'boolean', help: 'don’t ask' },
  },
  examples: [
    ['rollback.ts --list', 'the releases, the one that serves first'],
    ['rollback.ts', 'to the one before'],
    [
      'rollback.ts v2.3.0 --with-database neurmatic_production_20260131_020007',
      'past a migration that drops something',
    ],
  ],
  exitCodes: [
    [Exit.done, 'the older release serves'],
    [Exit.failed, 'failed; what serves now is said'],
    [Exit.usage, 'no such release, a migration in the way, or not confirmed'],
    [Exit.locked, 'another run holds the lock'],
  ],
  positionals: 1,
  changesState: true,
  async run({ options, positionals, config: load }) {
    const config = load();
    logTo(`${config.logDir}/deploy.log`);
    const targets = reachable(await readReleases(config));
    if (options.list) return { text: draw(targets), json: targets };
    requireTerminal(options.yes);
    const backup = options['with-database'];
    return withLock(config.stateDir, config.environment, 'rollback.ts', async () => {
      await refuseUnfinished(config);
      const target = chooseRelease(targets, positionals[0]);
      refuseContracted(target, backup);
      const [previous, servers, unwell] = await preflight(
        () => runningImages(config),
        () => wantedBackends(),
        () => criticalLines(config),
        () => testNginx(config),
        async () => nginxTimes(),
      );
      const also = backup ? `, and the database to ${backup}` : '';
      await confirm(
        `This takes ${config.environment} back to ${target.release}${also}.`,
        config.environment,
        options.yes,
      );
      log.changesBegin();
      const { release, images } = target;
      const journal = newJournal(config, {
        kind: 'rollback',
        release,
        images,
        previous,
        servers,
        unwell,
        surge: null,
        migrations: [],
        contracting: [],
        backup: backup ?? null,
      });
      const roll = () => carryOut(config, journal);
      const both = async () => {
        await restore(config, backup!);
        return roll();
      };
      const report = await (backup ? withMaintenance(both) : roll());
      return conclusion(config, report);
    });
  },
});

function refuseContracted({ release, since }: Target, backup: string | undefined): void {
  if (since.length === 0 || backup) return;
  throw usageError(
    `${release} can't live with what ${since.join(', ')} changed in the database since`,
    'deploy a corrected version, or add --with-database BACKUP: list-backups.ts shows those made before each release.',
  );
}

/** The backup is of the release's own time, so nothing is migrated. */
async function restore(config: Config, backup: string): Promise<void> {
  const { text } = await restoreFrom(config, choose(backup, { 'no-migrate': true, yes: true }) as Restore);
  log.info(text!);
}

function draw(targets: Target[]): string {
  if (targets.length === 0) return 'nothing was deployed yet';
  const rows = targets.map(({ release, images, since }, index) => [
    index === 0 ? '→' : '',
    release,
    shortName(images.backend),
    shortName(images.frontend),
    index === 0 ? 'serves' : since.length === 0 ? 'yes' : `with the database only: ${since.join(', ')}`,
  ]);
  return table(['', 'release', 'backend', 'frontend', 'can be gone back to'], rows);
}

if (import.meta.main) await execute(rollback);
