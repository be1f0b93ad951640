import { describeSource, parsePlace, type Source } from '../backup/find.ts';
import type { Result } from '../cli/command.ts';
import type { Config } from '../config/config.ts';
import { isDatabaseName } from '../config/variables.ts';
import { usageError } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import type { Stopwatch } from '../core/step-timer.ts';

/** What an operator asks of restore.ts. */
export interface Restore {
  wanted: string;
  from?: 'local' | 's3';
  /** A new database beside the live one; undefined: the live one is replaced. */
  target?: string;
  migrate: boolean;
  yes?: boolean;
  dryRun: boolean;
}

interface Flags {
  from?: string;
  database?: string;
  'no-migrate'?: boolean;
  yes?: boolean;
  'dry-run'?: boolean;
  undo?: boolean;
  finish?: boolean;
}

/**
 * Finds out which of restore.ts's three things is wanted.
 * @throws a usage error where it is none, more than one, or has flags that it does not take
 */
export function choose(wanted: string | undefined, flags: Flags): Restore | 'undo' | 'finish' {
  const { from, database, undo, finish } = flags;
  if ([wanted !== undefined, undo, finish].filter(Boolean).length !== 1)
    throw usageError(
      'say what to restore, or --undo, or --finish',
      'see --help; list-backups.ts shows the ids.',
    );
  if (database !== undefined && !isDatabaseName(database))
    throw usageError('--database takes a name of 1 to 63 bytes, without line breaks', 'give another name.');
  const place = parsePlace(from);
  if (wanted !== undefined)
    return {
      wanted,
      from: place,
      target: database,
      migrate: !flags['no-migrate'],
      yes: flags.yes,
      dryRun: flags['dry-run'] === true,
    };
  if (place || database !== undefined || flags['no-migrate'])
    throw usageError('--undo and --finish take neither --from, --database nor --no-migrate', 'see --help.');
  return undo ? 'undo' : 'finish';
}

/** @returns what the operator is asked to confirm */
export function questionFor(config: Config, source: Source, target: string, bare: boolean): string {
  const what = `${describeSource(source)} → database ${target} of ${config.environment}`;
  if (bare) return `${what}, which does not exist yet.`;
  return `${what}. The database as it is now is backed up and kept beside it.`;
}

/** @returns what was restored, how long it took, how old the data is, and what to do next */
export function report(
  source: Source,
  { target, kept, safety, clock }: { target: string; kept?: string; safety?: string; clock: Stopwatch },
): Result {
  const dataAge = source.manifest ? (Date.now() - Date.parse(source.manifest.snapshotAt)) / 1000 : null;
  const steps = Object.entries(clock.laps()).map(([step, seconds]) => `${step} ${duration(seconds)}`);
  const text = [
    `restored ${source.name} into ${target} in ${duration(clock.total())} (${steps.join(', ')})`,
    dataAge === null ? 'the age of its data is not known' : `its data is ${duration(dataAge)} old`,
    ...(kept
      ? [
          `the database as it was is ${kept}, and backup ${safety}`,
          'next: look whether the service is well; then `restore.ts --finish` drops what was kept, or `restore.ts --undo` swaps back',
        ]
      : []),
  ].join('\n');
  return {
    text,
    json: {
      restored: source.name,
      database: target,
      kept: kept ?? null,
      safetyBackup: safety ?? null,
      seconds: clock.laps(),
      totalSeconds: clock.total(),
      dataAgeSeconds: dataAge,
    },
  };
}
