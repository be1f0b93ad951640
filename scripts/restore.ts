#!/usr/bin/env -S sh -c 'n="$(dirname "$(readlink -f "$0")")/../node_modules"; NODE_COMPILE_CACHE="$n/.cache/node" exec "$n/.bin/node" "$0" "$@"'
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { command, confirm, execute, type Result } from './lib/cli.ts';
import { type Config, isDatabaseName } from './lib/config.ts';
import { besideName, drop } from './lib/database.ts';
import { Exit, messageOf, usageError } from './lib/errors.ts';
import { privateDirectory } from './lib/files.ts';
import { finish, undo } from './lib/kept.ts';
import { withLock } from './lib/lock.ts';
import { log, logTo } from './lib/log.ts';
import { notify } from './lib/notify.ts';
import { serverFacts } from './lib/postgres.ts';
import { preflight } from './lib/preflight.ts';
import {
  createMissingRoles,
  dropLeftovers,
  keepProperties,
  loadInto,
  refuseImpossible,
  runMigrations,
  safetyBackup,
  swapIn,
} from './lib/restore.ts';
import { checkSource, describeSource, fetchSource, findSource, type Source } from './lib/source.ts';
import { stopwatch } from './lib/stopwatch.ts';
import { duration } from './lib/text.ts';

const restore = command({
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
    const modes = [wanted !== undefined, options.undo, options.finish].filter(Boolean).length;
    if (modes !== 1)
      throw usageError(
        'say what to restore, or --undo, or --finish',
        'see --help; list-backups.ts shows the ids.',
      );
    const from = options.from;
    if (from !== undefined && from !== 'local' && from !== 's3')
      throw usageError('--from takes local or s3', 'see --help.');
    if (!wanted && (from || options.database !== undefined || options['no-migrate']))
      throw usageError('--undo and --finish take neither --from, --database nor --no-migrate', 'see --help.');
    if (options.database !== undefined && !isDatabaseName(options.database))
      throw usageError('--database takes a name of 1 to 63 bytes, without line breaks', 'give another name.');
    const config = load();
    logTo(`${config.logDir}/restore.log`);
    return withLock(config.stateDir, config.environment, 'restore.ts', async () => {
      if (options.undo) return undo(config, options);
      if (options.finish) return finish(config, options);
      try {
        const result = await restoreFrom(config, wanted!, { ...options, from });
        if (!options['dry-run']) await notify(config, result.text!);
        return result;
      } catch (error) {
        await notify(config, `restore of ${wanted} FAILED: ${messageOf(error)}`);
        throw error;
      }
    });
  },
});

interface Wanted {
  from?: 'local' | 's3';
  database?: string;
  'no-migrate'?: boolean;
  yes?: boolean;
  'dry-run'?: boolean;
}

async function restoreFrom(config: Config, wanted: string, options: Wanted): Promise<Result> {
  const { postgres } = config;
  const replaces = options.database === undefined;
  const target = options.database ?? postgres.database;
  const fetched = join(config.backupDir, `.fetched-${config.environment}`);
  const clock = stopwatch();
  try {
    const [server] = await preflight(
      () => serverFacts(postgres),
      () => privateDirectory(config.backupDir, 'BACKUP_DIR'),
    );
    const source = await fetchSource(await findSource(config, wanted, options.from), fetched);
    clock.lap('fetch');
    await checkSource(postgres, source);
    clock.lap('check');
    const { bare } = await refuseImpossible(config, source, server, target, replaces);
    const question = questionFor(config, source, target, bare);
    if (options['dry-run'])
      return { text: `would go on: ${question}`, json: { dryRun: true, source: source.name, target } };
    await confirm(question, target, options.yes);

    log.changesBegin();
    const safety = replaces && !bare ? await safetyBackup(config, source.name) : undefined;
    clock.lap('safety backup');
    await createMissingRoles(postgres, source);
    const next = await besideName(postgres, postgres.database, 'new');
    await dropLeftovers(postgres, postgres.database, 'new');
    await loadInto(config, source, next, postgres.database);
    clock.lap('load and compare');
    const kept = await replace(config, source, {
      next,
      target,
      bare,
      migrate: replaces && !options['no-migrate'],
    });
    clock.lap('migrate and swap');
    return report(source, { target, kept, safety, seconds: clock.laps() });
  } finally {
    await rm(fetched, { recursive: true, force: true });
  }
}

/** Migrates the new database and puts it in its place. @returns the name under which the old one is kept */
async function replace(
  config: Config,
  source: Source,
  { next, target, bare, migrate }: { next: string; target: string; bare: boolean; migrate: boolean },
): Promise<string | undefined> {
  const { postgres } = config;
  const kept =
    bare || target !== postgres.database ? undefined : await besideName(postgres, target, 'before');
  try {
    if (target === postgres.database) await keepProperties(postgres, source, kept && target, next);
    await runMigrations(config, next, migrate);
    await swapIn(postgres, target, next, kept);
    return kept;
  } catch (error) {
    await drop(postgres, next).catch(() =>
      log.warn(`database ${next} is left over; the next restore drops it`),
    );
    throw error;
  }
}

function questionFor(config: Config, source: Source, target: string, bare: boolean): string {
  const what = `${describeSource(source)} → database ${target} of ${config.environment}`;
  if (bare) return `${what}, which does not exist yet.`;
  return `${what}. The database as it is now is backed up and kept beside it.`;
}

function report(
  source: Source,
  done: { target: string; kept?: string; safety?: string; seconds: Record<string, number> },
): Result {
  const total = Object.values(done.seconds).reduce((sum, seconds) => sum + seconds, 0);
  const dataAge = source.manifest ? (Date.now() - Date.parse(source.manifest.snapshotAt)) / 1000 : null;
  const steps = Object.entries(done.seconds).map(([step, seconds]) => `${step} ${duration(seconds)}`);
  const text = [
    `restored ${source.name} into ${done.target} in ${duration(total)} (${steps.join(', ')})`,
    dataAge === null ? 'the age of its data is not known' : `its data is ${duration(dataAge)} old`,
    ...(done.kept
      ? [
          `the database as it was is ${done.kept}, and backup ${done.safety}`,
          'next: health-check the service; then `restore.ts --finish` drops what was kept, or `restore.ts --undo` swaps back',
        ]
      : []),
  ].join('\n');
  return {
    text,
    json: {
      restored: source.name,
      database: done.target,
      kept: done.kept ?? null,
      safetyBackup: done.safety ?? null,
      seconds: done.seconds,
      totalSeconds: total,
      dataAgeSeconds: dataAge,
    },
  };
}

if (import.meta.main) await execute(restore);
