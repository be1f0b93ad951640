/** What the errors of a load mean: nothing, missing objects, or lost data. */

import type { CheckedSource } from '../backup/verify.ts';
import { again } from '../core/command-line.ts';
import { OperationalError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import {
  canBeAccepted,
  describeError,
  isAboutRights,
  isRowsOfTable,
  isUnknownSetting,
  type LoadError,
  pgRestoreErrors,
  psqlErrors,
} from './load-errors.ts';

/** How many errors are shown. */
const SHOWN = 100;

/** @returns whether the first error of a load is one after which the others are worth knowing */
export function mayGoOn(source: CheckedSource, stderr: string): boolean {
  const [first] = source.frame ? psqlErrors(stderr) : pgRestoreErrors(stderr);
  return first !== undefined && (isUnknownSetting(first) || isTolerable(source, first));
}

/**
 * The tables of an extension are not in a manifest: the comparison of rows says whether other rows are lost. psql can't go
 * on after an error in rows.
 */
function isTolerable({ frame, manifest }: CheckedSource, error: LoadError): boolean {
  return canBeAccepted(error) || (!frame && manifest !== null && isRowsOfTable(error));
}

/**
 * Refuses errors that rows depend on. Call it before rows are compared.
 * @returns the other errors, except settings that this server does not know
 * @throws exit code 1
 */
export function refuseLost(source: CheckedSource, all: LoadError[]): LoadError[] {
  for (const { text } of all.filter(isUnknownSetting))
    log.info(`ignored a setting of a later version: ${text.split('\n')[0]}`);
  const errors = all.filter(error => !isUnknownSetting(error));
  const lost = errors.filter(error => !isTolerable(source, error));
  if (lost.length === 0) return errors;
  throw new OperationalError(
    `${plural(lost.length, 'statement')} of ${source.name} failed that rows depend on:${list(lost)}`,
    `the live database is unchanged. ${lost.some(isAboutRights) ? superuserAdvice(source) : 'Correct the cause on this server, or restore another backup.'}`,
  );
}

/** Which statements may fail: none; those for which the role that loads lacks rights; all without which all rows are there. */
export type Accept = 'none' | 'of rights' | 'all';

/** What helps where a role without rights may not load something. */
export const superuserAdvice = (source: { name: string }): string =>
  'Nothing of a dump runs with the rights of a superuser. If you trust everyone who could change this database or this ' +
  `dump: \`${again('restore.ts', [source.name], ['--as-superuser'])}\`.`;

/**
 * Refuses errors that are not accepted. Call it after rows were compared.
 * @throws exit code 1
 */
export function refuseUnaccepted(source: CheckedSource, errors: LoadError[], accept: Accept): void {
  if (errors.length === 0) return;
  const failed = `${plural(errors.length, 'statement')} of ${source.name} failed:${list(errors)}`;
  if (accept === 'none' || (accept === 'of rights' && !errors.every(isAboutRights))) {
    throw new OperationalError(
      `the rows are loaded, but ${failed}`,
      `the live database is unchanged. \`${again('restore.ts', [source.name], ['--accept-errors'])}\` restores without what failed.${errors.some(isAboutRights) ? ` ${superuserAdvice(source)}` : ''}`,
    );
  }
  log.warn(`accepted that ${failed}`);
}

function list(errors: LoadError[]): string {
  const rest = errors.length > SHOWN ? `\n  - and ${errors.length - SHOWN} more` : '';
  return (
    errors
      .slice(0, SHOWN)
      .map(error => `\n  - ${describeError(error)}`)
      .join('') + rest
  );
}
