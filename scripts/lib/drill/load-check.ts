import { readChecks } from '../backup/check-log.ts';
import { findSource } from '../backup/find.ts';
import { whyNotDue } from '../backup/load-due.ts';
import { describeSource, type Source } from '../backup/source.ts';
import type { Result } from '../cli/command.ts';
import type { Config } from '../config/config.ts';
import { usageError } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { loadScratch } from '../restore/scratch.ts';

/**
 * Loads a backup into a scratch database at low priority, compares it and drops it. The caller holds the lock of drills.
 *
 * @param ifDue whether LOAD_CHECK decides if it is loaded now
 * @throws exit code 3 where it is missing, damaged or differs after loading; 4 where S3 can't be read
 */
export async function runLoadCheck(
  config: Config,
  wanted: string,
  place: 'local' | 's3' | undefined,
  ifDue = false,
): Promise<Result> {
  let found: Source | undefined;
  const find = async () => {
    const source = await findSource(config, wanted, place);
    if (!source.foreign) return source;
    // Its statements would run with the rights of POSTGRES_USER on the live server.
    throw usageError(
      `${source.name} is not loaded: ${source.foreign}`,
      'verify it without --load, or restore it on another server with --allow-foreign.',
    );
  };
  if (ifDue) {
    if (config.loadCheck === 'off') return skipped('LOAD_CHECK is off');
    found = await find();
    const why = found.manifest && whyNotDue(config.loadCheck, found.manifest, readChecks(config), new Date());
    if (why) return skipped(why);
  }
  const gentle = { ...config, postgres: { ...config.postgres, gentle: true } };
  const { source, seconds, total, notProven } = await loadScratch(
    gentle,
    'drill',
    async () => found ?? (await find()),
  );
  const compared = source.manifest !== null;
  const verdict = compared ? 'loaded and compared' : 'loaded; not compared, because there is no manifest';
  return {
    text: `${verdict}: ${describeSource(source)}, in ${duration(total)}${notProven ? `; ${notProven}` : ''}`,
    json: { loaded: source.name, compared, notProven: notProven ?? null, seconds, totalSeconds: total },
  };
}

function skipped(why: string): Result {
  return { text: `skipped: ${why}`, json: { loaded: null, skipped: why } };
}
