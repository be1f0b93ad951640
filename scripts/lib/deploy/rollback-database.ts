/** The backup that a rollback restores. */
import { findSource } from '../backup/find.ts';
import type { Config } from '../config/config.ts';
import { log } from '../core/log.ts';
import { oidOf } from '../postgres/databases.ts';
import { foreignness } from '../restore/foreign.ts';
import type { RestoreRequest } from '../restore/options.ts';
import { runRestore } from '../restore/run-restore.ts';
import { confirmSmall } from '../restore/small-result.ts';

interface RestorePlan {
  /** For the question: that the backup is foreign. Empty for all others. */
  warning: string;
  /** Restores it, without migrations: it is from the time of the release. */
  restore: () => Promise<void>;
}

/**
 * Finds the backup and judges it, before the rollback begins: a refusal in the middle would leave the maintenance page to
 * the visitors for nothing.
 *
 * @throws exit code 2 for a foreign backup, or one with less than a tenth of the rows, that is not confirmed; 3 where there
 *   is none
 */
export async function planRestore(
  config: Config,
  wanted: string,
  { yes, allowForeign, allowSmall }: Pick<RestoreRequest, 'yes' | 'allowForeign' | 'allowSmall'>,
): Promise<RestorePlan> {
  const { postgres } = config;
  const source = await findSource(config, wanted, undefined);
  const warning = foreignness(config, source, { wanted, migrate: false, yes, allowForeign });
  const live = (await oidOf(postgres, postgres.database)) !== undefined;
  const isCounted = live && source.manifest !== null;
  if (isCounted) await confirmSmall(config, source, postgres.database, { yes, allowSmall });
  return {
    warning,
    restore: async () => {
      const confirmed = { yes: true, allowForeign: true, allowSmall: allowSmall || isCounted };
      const { text } = await runRestore(config, { wanted, migrate: false, ...confirmed });
      log.info(text!);
    },
  };
}
