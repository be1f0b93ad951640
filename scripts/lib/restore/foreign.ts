import type { Source } from '../backup/source.ts';
import type { Config } from '../config/config.ts';
import { usageError } from '../core/errors.ts';
import type { RestoreRequest } from './options.ts';

/**
 * What the operator must know of a backup that this server may not have made of this database.
 *
 * @returns sentences for the question; empty for all other backups
 * @throws a usage error where nobody is asked and --allow-foreign is missing
 */
export function foreignness(config: Config, source: Source, request: RestoreRequest): string {
  const { target, yes, dryRun, allowForeign } = request;
  // A backup that is loaded into another database can do harm, too: its statements run with the same rights.
  const sentences = [source.foreign, target === undefined ? otherOrigin(config, source) : undefined]
    .filter(sentence => sentence !== undefined)
    .map(sentence => `${sentence}. `);
  if (sentences.length > 0 && yes && !dryRun && !allowForeign)
    throw usageError(
      sentences.join('').replace(/\. $/, ''),
      'nothing was changed. To restore it without a question, add --allow-foreign.',
    );
  return sentences.join('');
}

/** @returns a sentence about a backup that is not one of this database; undefined for all others */
function otherOrigin({ app, environment, postgres }: Config, { manifest }: Source): string | undefined {
  if (!manifest) return undefined;
  const origin = `database ${manifest.database} of ${manifest.app} (${manifest.environment})`;
  const live = `database ${postgres.database} of ${app} (${environment})`;
  return origin === live ? undefined : `this is a backup of ${origin}, not of ${live}`;
}
