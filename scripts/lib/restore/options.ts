import type { Without } from '../backup/dump-commands.ts';
import { parsePlace } from '../backup/find.ts';
import type { Result } from '../cli/command.ts';
import { confirm } from '../cli/confirm.ts';
import { isDatabaseName } from '../config/types.ts';
import { usageError } from '../core/errors.ts';
import { log } from '../core/log.ts';

/** How a change is confirmed. */
export interface Confirmation {
  /** Do not ask. */
  yes?: boolean;
  /** Describe the change and do not make it. */
  dryRun?: boolean;
}

/** What to restore, and how. */
export interface RestoreRequest extends Confirmation {
  /** `latest`, a backup's id, a file, or `s3://bucket/key`. */
  wanted: string;
  from?: 'local' | 's3';
  /** Only these tables, into a schema of the live database. */
  tables?: string[] | undefined;
  /** The name of a new database; undefined: the live one is replaced. */
  target?: string;
  migrate: boolean;
  /** Whether statements may fail without which all rows are there. */
  acceptErrors?: boolean;
  /** Whether the live database may be replaced by one with less than a tenth of its rows. */
  allowSmall?: boolean;
  /** Restore without a question a backup of another app, environment or database, or without this server's signature. */
  allowForeign?: boolean;
  /** Whether POSTGRES_USER loads all of it, if that is a superuser. */
  asSuperuser?: boolean;
  /** Default: nothing. */
  without?: Without;
}

interface Flags {
  from?: string;
  database?: string;
  table?: string[];
  'no-migrate'?: boolean;
  'no-owners'?: boolean;
  'no-tablespaces'?: boolean;
  'accept-errors'?: boolean;
  'allow-small'?: boolean;
  'as-superuser'?: boolean;
  yes?: boolean;
  'dry-run'?: boolean;
  'allow-foreign'?: boolean;
  undo?: boolean;
  finish?: boolean;
}

/** Flags that single tables have no use for. */
const NOT_FOR_TABLES = [
  'database',
  'no-migrate',
  'no-owners',
  'no-tablespaces',
  'accept-errors',
  'allow-small',
  'as-superuser',
] as const;

/** Flags that say how a backup is restored. */
const ONLY_RESTORE = ['from', 'table', 'allow-foreign', ...NOT_FOR_TABLES] as const;

/**
 * Reads from the command line which of its three actions restore.ts takes.
 * @throws a usage error (exit code 2) for none, for more than one, and for flags that the action does not take
 */
export function parseAction(wanted: string | undefined, flags: Flags): RestoreRequest | 'undo' | 'finish' {
  const { from, database, undo, finish } = flags;
  if ([wanted !== undefined, undo, finish].filter(Boolean).length !== 1)
    throw usageError(
      'give either a backup, --undo or --finish',
      'see --help; ./scripts/list-backups.ts shows the ids.',
    );
  if (database !== undefined && !isDatabaseName(database))
    throw usageError('--database takes a name of 1 to 63 bytes, without line breaks', 'choose another name.');
  const place = parsePlace(from);
  const without = NOT_FOR_TABLES.filter(flag => flags[flag] !== undefined).map(flag => `--${flag}`);
  if (flags.table && without.length > 0)
    throw usageError(`--table can't be combined with ${without.join(', ')}`, 'see --help.');
  if (wanted !== undefined) {
    return {
      wanted,
      from: place,
      target: database,
      tables: flags.table,
      migrate: !flags['no-migrate'],
      without: { owners: flags['no-owners'], tablespaces: flags['no-tablespaces'] },
      acceptErrors: flags['accept-errors'],
      allowSmall: flags['allow-small'],
      allowForeign: flags['allow-foreign'],
      asSuperuser: flags['as-superuser'],
      yes: flags.yes,
      dryRun: flags['dry-run'],
    };
  }
  const others = ONLY_RESTORE.filter(flag => flags[flag] !== undefined).map(flag => `--${flag}`);
  if (others.length > 0)
    throw usageError(`--undo and --finish can't be combined with ${others.join(', ')}`, 'see --help.');
  return undo ? 'undo' : 'finish';
}

/**
 * Asks the operator to confirm a change, then makes it; with --dry-run only describes it.
 * @param plan the question, the database whose name is typed, and what --json prints of a dry run
 * @throws a usage error (exit code 2) when the operator does not confirm
 */
export async function confirmed(
  { question, database, json }: { question: string; database: string; json: object },
  { yes, dryRun }: Confirmation,
  change: () => Promise<Result>,
): Promise<Result> {
  if (dryRun) return { text: `dry run, nothing was changed. ${question}`, json: { dryRun, ...json } };
  await confirm(question, database, yes);
  log.changesBegin();
  return change();
}
