#!/usr/bin/env -S sh -c 'n="$(readlink -f "$0")"; n="${n%/*}/../node_modules"; NODE_COMPILE_CACHE="$n/.cache/node" NODE_COMPILE_CACHE_PORTABLE=1 exec "$n/.bin/node" --no-concurrent-sparkplug --no-concurrent-recompilation "$0" "$@"'
import { applyRetention, type PlacePlan, planRetention } from './lib/backup/prune.ts';
import { command, confirm, execute } from './lib/cli/command.ts';
import { Exit } from './lib/core/errors.ts';
import { plural, table } from './lib/core/format.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { openStore } from './lib/s3/open-store.ts';

export const prune = command({
  summary: 'Delete the backups that are past their time, and say of each why it stays or goes.',
  usage: ['[--env production|staging] [--yes] [--dry-run] [--json]'],
  details:
    'backup.ts does the same after each backup, but stops where most of them would go. Only verified backups of\n' +
    'this app, environment and database count or are deleted; nothing else in the directory or bucket is touched.',
  options: {
    yes: { type: 'boolean', help: 'do not ask' },
    'dry-run': { type: 'boolean', help: 'only show what would be deleted' },
  },
  examples: [
    ['prune-backups.ts --dry-run', 'what would go, and why'],
    ['prune-backups.ts', 'the same, then delete after typing the environment’s name'],
  ],
  exitCodes: [
    [Exit.done, 'deleted, or nothing to delete'],
    [Exit.failed, 'failed; what is left is whole'],
    [Exit.usage, 'wrong flags or configuration, or not confirmed'],
    [Exit.offsite, 'S3 can’t be read or refuses to delete'],
    [Exit.locked, 'another run holds the lock'],
  ],
  changesState: true,
  async run({ options, config: load }) {
    const config = load();
    logTo(`${config.logDir}/backup.log`);
    const store = config.s3 && (await openStore(config.s3));
    if (!store) log.info('S3: not configured (S3_BUCKET is empty)');
    return withLock(config.stateDir, config.environment, 'prune-backups.ts', async () => {
      const plans = await planRetention(config, store);
      const going = plans.flatMap(({ decisions }) => decisions.filter(({ keep }) => !keep));
      const summary = `${draw(plans)}\n${plural(going.length, 'backup')} to delete`;
      if (going.length === 0 || options['dry-run']) return { text: summary, json: describe(plans, false) };
      process.stderr.write(`${summary}\n`);
      await confirm('This deletes them for good.', config.environment, options.yes);
      log.changesBegin();
      for (const plan of plans) await applyRetention(config, plan);
      return { text: `deleted ${plural(going.length, 'backup')}`, json: describe(plans, true) };
    });
  },
});

function draw(plans: PlacePlan[]): string {
  const rows = plans.flatMap(({ place, decisions }) =>
    decisions.map(({ backup, keep, reason }) => [
      keep ? 'stays' : 'goes',
      place === 's3' ? 'S3' : 'here',
      backup.id,
      reason,
    ]),
  );
  return table(['', 'where', 'id', 'why'], rows);
}

function describe(plans: PlacePlan[], applied: boolean) {
  return plans.flatMap(({ place, decisions }) =>
    decisions.map(({ backup, keep, reason }) => ({
      id: backup.id,
      place,
      keep,
      reason,
      deleted: applied && !keep,
    })),
  );
}

if (import.meta.main) await execute(prune);
