#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import type { Backup } from './lib/backup/catalog.ts';
import { applyRetention, type PlacePlan, planRetention } from './lib/backup/prune.ts';
import { command, execute } from './lib/cli/command.ts';
import { confirm } from './lib/cli/confirm.ts';
import { Exit, type ExitCode, type OperationalError, textOf } from './lib/core/errors.ts';
import { plural, table } from './lib/core/format.ts';
import { withLockUnless } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { openStore } from './lib/s3/open-store.ts';

export const prune = command({
  summary: 'Delete expired backups and give the reason for each.',
  usage: ['[--env production|staging] [--yes] [--dry-run] [--json]'],
  details:
    'backup.ts does the same after each backup, but deletes nothing if most backups would be deleted. Only verified\n' +
    'backups of this app, environment and database are counted or deleted; other files and objects are not touched.\n' +
    'Each place is on its own: trouble with S3 does not stop the deletion on this server.',
  options: {
    yes: { type: 'boolean', help: 'do not ask for confirmation' },
    'dry-run': { type: 'boolean', help: 'list what would be deleted, and delete nothing' },
  },
  examples: [
    ['prune-backups.ts --dry-run', 'what would be deleted, and why'],
    ['prune-backups.ts', 'the same, then delete after you type the environment’s name'],
  ],
  exitCodes: [
    [Exit.done, 'deleted, or nothing to delete'],
    [Exit.failed, 'failed; the remaining backups are complete'],
    [Exit.usage, 'wrong flags or configuration, or not confirmed'],
    [Exit.offsite, 'S3 can’t be read or refuses to delete'],
    [Exit.locked, 'another run holds the lock'],
  ],
  changesState: true,
  async run({ options, config: load }) {
    const config = load();
    const looking = options['dry-run'];
    logTo(`${config.logDir}/backup.log`, looking);
    const store = config.s3 && (await openStore(config.s3));
    if (!store) log.info('S3: not configured (S3_BUCKET is empty)');
    return withLockUnless(looking, config.stateDir, config.environment, 'prune-backups.ts', async () => {
      const plans = await planRetention(config, store, !looking);
      const expired = plans.flatMap(({ decisions }) => decisions.filter(({ keep }) => !keep));
      const summary = `${toTable(plans)}${plural(expired.length, 'backup')} to delete`;
      const unreadable = plans.flatMap(({ problem }) => problem ?? []);
      if (expired.length === 0 || options['dry-run'])
        return { text: summary, json: toRows(plans), exitCode: report(unreadable) };
      process.stderr.write(`${summary}\n`);
      await confirm('The deletion can’t be undone.', config.environment, options.yes);
      log.changesBegin();
      const applied: Awaited<ReturnType<typeof applyRetention>>[] = [];
      for (const plan of plans) applied.push(await applyRetention(config, plan));
      const deleted = applied.flatMap(each => each.deleted);
      const hidden = applied.flatMap(each => each.hidden);
      return {
        text: summarize(deleted.length - hidden.length, hidden.length),
        json: toRows(plans, deleted, hidden),
        exitCode: report(applied.flatMap(({ problem }) => problem ?? [])),
      };
    });
  },
});

/** Shows what is wrong in each place. @returns the exit code */
function report(problems: OperationalError[]): ExitCode {
  for (const problem of problems) log.error(textOf(problem));
  return problems[0]?.exitCode ?? Exit.done;
}

function summarize(deleted: number, hidden: number): string {
  const done = deleted > 0 || hidden === 0 ? [`deleted ${plural(deleted, 'backup')}`] : [];
  if (hidden > 0) done.push(`hid ${plural(hidden, 'backup')} by a delete marker`);
  return done.join(', ');
}

function toTable(plans: PlacePlan[]): string {
  const rows = plans.flatMap(({ place, decisions }) =>
    decisions.map(({ backup, keep, reason }) => [
      keep ? 'keep' : 'delete',
      place === 's3' ? 'S3' : 'local',
      backup.id,
      reason,
    ]),
  );
  return rows.length > 0 ? `${table(['', 'place', 'id', 'reason'], rows)}\n` : '';
}

function toRows(plans: PlacePlan[], gone: Backup[] = [], hidden: Backup[] = []) {
  return plans.flatMap(({ place, decisions }) =>
    decisions.map(({ backup, keep, reason }) => ({
      id: backup.id,
      place,
      keep,
      reason,
      deleted: gone.includes(backup) && !hidden.includes(backup),
      hidden: hidden.includes(backup),
    })),
  );
}

if (import.meta.main) await execute(prune);
