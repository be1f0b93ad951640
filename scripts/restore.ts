#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { SOME_BACKUP } from './lib/cli/help.ts';
import { Exit, exitCodeOf, messageOf } from './lib/core/errors.ts';
import { withLockUnless } from './lib/core/lock.ts';
import { logTo } from './lib/core/log.ts';
import { refuseUnfinishedData } from './lib/deploy/journal.ts';
import { checkHooks, runHook } from './lib/hooks/hooks.ts';
import { notify } from './lib/notify/notify.ts';
import { parseAction } from './lib/restore/options.ts';
import { restoreTables } from './lib/restore/restore-tables.ts';
import { runRestore } from './lib/restore/run-restore.ts';
import { finish, undo } from './lib/restore/undo.ts';

export const restore = command({
  summary:
    'Restore the database from a backup. The live database serves until the new one is loaded and compared.',
  usage: [
    '<latest | backup id | file | s3://bucket/key> [--from local|s3] [--database NAME] [options] [--yes]',
    '<backup> --table SCHEMA.TABLE [--table …] [--from local|s3] [--yes]',
    '--undo [--yes]',
    '--finish [--yes]',
  ],
  details:
    'Loads into a new database, compares every table’s rows, then renames the two within seconds. The replaced\n' +
    'database is kept as <database>_before_<time>.',
  options: {
    from: {
      type: 'string',
      value: 'local|s3',
      help: 'where to look for the backup; default: BACKUP_DIR, then S3',
    },
    database: {
      type: 'string',
      value: 'NAME',
      help: 'restore into a new database of this name; the live one stays as it is',
    },
    table: {
      type: 'string',
      value: 'SCHEMA.TABLE',
      multiple: true,
      help: 'only this table (repeatable), into schema restored_<time> of the live database',
    },
    'no-migrate': { type: 'boolean', help: 'skip the migrations' },
    'no-owners': { type: 'boolean', help: 'leave out owners and privileges: POSTGRES_USER owns everything' },
    'no-tablespaces': { type: 'boolean', help: 'put everything into the default tablespace' },
    'accept-errors': {
      type: 'boolean',
      help: 'restore although indexes, views, comments or privileges fail or differ; never with rows missing',
    },
    'allow-small': {
      type: 'boolean',
      help: 'replace the live database although the backup has less than a tenth of its rows',
    },
    'as-superuser': {
      type: 'boolean',
      help: 'load with the rights of POSTGRES_USER, a superuser: code in the backup runs with them. Default: a role without rights loads',
    },
    yes: { type: 'boolean', help: 'do not ask for confirmation' },
    'allow-foreign': {
      type: 'boolean',
      help: 'with --yes: also a backup of another app, environment or database, or without this server’s signature',
    },
    undo: { type: 'boolean', help: 'swap back the database that the last restore replaced' },
    finish: { type: 'boolean', help: 'drop the databases that restores replaced' },
    'dry-run': { type: 'boolean', help: 'find, fetch and check; change nothing' },
  },
  examples: [
    ['restore.ts latest', 'the newest backup; asks for the name of the database'],
    ['restore.ts latest --from s3 --yes', 'unattended, on a new server'],
    [`restore.ts ${SOME_BACKUP} --database old_rows`, 'into another database, to copy single rows back'],
    ['restore.ts latest --table public.members', 'one table beside the live one, to bring rows back'],
    ['restore.ts old/app_20250106.sql.gz', 'a plain dump by any pg_dump'],
  ],
  exitCodes: [
    [Exit.done, 'restored, compared and swapped in'],
    [Exit.failed, 'failed; the live database is unchanged, unless the message says that this is unknown'],
    [Exit.usage, 'wrong flags or configuration, or not confirmed'],
    [Exit.verification, 'the backup is missing, damaged, or differs after loading; nothing was changed'],
    [Exit.offsite, 'S3 can’t be read; nothing was changed'],
    [Exit.locked, 'another run holds the lock'],
  ],
  positionals: 1,
  changesState: true,
  async run({ options, positionals: [wanted], config: load }) {
    const action = parseAction(wanted, options);
    const config = load();
    const looking = options['dry-run'];
    logTo(`${config.logDir}/restore.log`, looking);
    return withLockUnless(looking, config.stateDir, config.environment, 'restore.ts', async () => {
      if (action === 'undo' || action === 'finish' || action.target === undefined)
        refuseUnfinishedData(config);
      const confirmation = { yes: options.yes, dryRun: options['dry-run'] };
      if (action !== 'finish') checkHooks(config, ['post-restore', 'on-alert']);
      if (action === 'undo') {
        const undone = await undo(config, confirmation);
        if (!looking) await runHook(config, 'post-restore', undone.json as object);
        return undone;
      }
      if (action === 'finish') return finish(config, confirmation);
      try {
        const { tables } = action;
        const result = await (tables
          ? restoreTables(config, { ...action, tables })
          : runRestore(config, action));
        if (!action.dryRun) await notify(config, result.text!, result.exitCode ?? Exit.done);
        const isLive = !tables && action.target === undefined;
        if (isLive && !action.dryRun) await runHook(config, 'post-restore', result.json as object);
        return result;
      } catch (error) {
        await notify(config, `restore of ${wanted} FAILED: ${messageOf(error)}`, exitCodeOf(error));
        throw error;
      }
    });
  },
});

if (import.meta.main) await execute(restore);
