#!/usr/bin/env -S sh -c 'n="$(readlink -f "$0")"; n="${n%/*}/../node_modules"; NODE_COMPILE_CACHE="$n/.cache/node" NODE_COMPILE_CACHE_PORTABLE=1 exec "$n/.bin/node" --no-concurrent-sparkplug --no-concurrent-recompilation "$0" "$@"'
import { command, confirm, execute, type Result, refuseUnanswerable } from './lib/cli.ts';
import type { Config } from './lib/config.ts';
import { besideName, besides, drop } from './lib/database.ts';
import { Exit, exitCodeOf, messageOf } from './lib/errors.ts';
import { privateDirectory } from './lib/files.ts';
import { finish, undo } from './lib/kept.ts';
import { loadInto } from './lib/load.ts';
import { withLock } from './lib/lock.ts';
import { log, logTo } from './lib/log.ts';
import { runMigrations } from './lib/migrations.ts';
import { notify } from './lib/notify.ts';
import { serverFacts } from './lib/postgres.ts';
import { preflight } from './lib/preflight.ts';
import { dropLeftovers, keepProperties, refuseImpossible, safetyBackup, swapIn } from './lib/restore.ts';
import { choose, questionFor, type Restore, report } from './lib/restore-request.ts';
import { createMissingRoles } from './lib/roles.ts';
import { checkSource, fetchSource, findSource, removeWork, restoreDirectory } from './lib/source.ts';
import { stopwatch } from './lib/stopwatch.ts';

export const restore = command({
  summary:
    'Restore the database from a backup. The live database serves until the new one is whole and compared.',
  usage: [
    '<latest | backup id | file | s3://bucket/key> [--from local|s3] [--database NAME] [--no-migrate] [--yes]',
    '--undo [--yes]      swap back to the database as it was before the last restore',
    '--finish [--yes]    drop the databases that restores have kept',
  ],
  details:
    'Loads into a new database, compares every table’s rows, then swaps the two by name within seconds; the\n' +
    'database as it was is kept as <database>_before_<time>.',
  options: {
    from: { type: 'string', value: 'local|s3', help: 'where to look for the backup; default: here, then S3' },
    database: {
      type: 'string',
      value: 'NAME',
      help: 'restore into a new database of this name; nothing is swapped',
    },
    'no-migrate': { type: 'boolean', help: 'do not run the migrations' },
    yes: { type: 'boolean', help: 'do not ask' },
    undo: { type: 'boolean', help: 'swap back' },
    finish: { type: 'boolean', help: 'drop what was kept' },
    'dry-run': { type: 'boolean', help: 'find, fetch and check; change nothing' },
  },
  examples: [
    ['restore.ts latest', 'the newest backup, after typing the database’s name'],
    ['restore.ts latest --from s3 --yes', 'unattended, on a new server'],
    [
      'restore.ts neurmatic_production_20260131_020007 --database fished',
      'beside the live one, to look for a row',
    ],
    ['restore.ts old/neurmatic_20250106.sql.gz', 'a plain dump of any pg_dump'],
  ],
  exitCodes: [
    [Exit.done, 'restored, compared and swapped in'],
    [Exit.failed, 'failed; the live database is as it was'],
    [Exit.usage, 'wrong flags or configuration, or not confirmed'],
    [
      Exit.verification,
      'the backup is missing, cut, damaged, or loads as something else; nothing was changed',
    ],
    [Exit.offsite, 'S3 can’t be read; nothing was changed'],
    [Exit.locked, 'another run holds the lock'],
  ],
  positionals: 1,
  changesState: true,
  async run({ options, positionals: [wanted], config: load }) {
    const choice = choose(wanted, options);
    const config = load();
    logTo(`${config.logDir}/restore.log`);
    return withLock(config.stateDir, config.environment, 'restore.ts', async () => {
      if (choice === 'undo') return undo(config, options);
      if (choice === 'finish') return finish(config, options);
      try {
        const result = await restoreFrom(config, choice);
        if (!choice.dryRun) await notify(config, result.text!, result.exitCode ?? Exit.done);
        return result;
      } catch (error) {
        await notify(config, `restore of ${wanted} FAILED: ${messageOf(error)}`, exitCodeOf(error));
        throw error;
      }
    });
  },
});

/** Restores, under the environment's lock, which the caller holds. */
export async function restoreFrom(
  config: Config,
  { wanted, from, target, migrate, yes, dryRun }: Restore,
): Promise<Result> {
  const { postgres } = config;
  const live = postgres.database;
  const fetched = restoreDirectory(config);
  const clock = stopwatch();
  try {
    const [server] = await preflight(
      () => serverFacts(postgres),
      () => privateDirectory(config.backupDir, 'BACKUP_DIR'),
      async () => refuseUnanswerable(yes || dryRun),
    );
    const source = await fetchSource(await findSource(config, wanted, from), fetched);
    clock.lap('fetch');
    await checkSource(postgres, source);
    clock.lap('check');
    const { bare } = await refuseImpossible(config, source, server, target ?? live, target === undefined);
    const question = questionFor(config, source, target ?? live, bare);
    if (dryRun)
      return {
        text: `would go on: ${question}`,
        json: { dryRun, source: source.name, target: target ?? live },
      };
    await confirm(question, target ?? live, yes);

    log.changesBegin();
    const replaced = target === undefined && !bare ? live : undefined;
    const safety = replaced && (await safetyBackup(config, source.name, server));
    clock.lap('safety backup');
    await createMissingRoles(postgres, source);
    await dropLeftovers(postgres, live, 'new');
    const next = besideName(live, 'new', []);
    const kept = replaced && besideName(live, 'before', await besides(postgres, live, 'before'));
    try {
      await loadInto(config, source, next, live);
      clock.lap('load and compare');
      if (target === undefined) {
        await keepProperties(postgres, source, replaced, next);
        await runMigrations(config, next, migrate);
      }
      await swapIn(postgres, target ?? live, next, kept);
      clock.lap('migrate and swap');
    } catch (error) {
      await drop(postgres, next).catch(() =>
        log.warn(`database ${next} is left over; the next restore drops it`),
      );
      throw error;
    }
    return report(source, { target: target ?? live, kept, safety, clock });
  } finally {
    await removeWork(fetched);
  }
}

if (import.meta.main) await execute(restore);
