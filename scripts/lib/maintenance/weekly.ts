import { confirm, requireTerminal } from '../cli/confirm.ts';
import type { Config } from '../config/config.ts';
import { withLockUnless } from '../core/lock.ts';
import { log } from '../core/log.ts';
import { diskReport } from './disk-report.ts';
import { logs, temporary } from './files.ts';
import { keptDatabases } from './kept-databases.ts';
import { oldImages } from './old-images.ts';
import { tables } from './tables.ts';
import { describe, doAll, type Looked, lookAll, resultOf } from './tasks.ts';
import { vacuum } from './vacuum.ts';

interface Wishes {
  /** Age in days from which on databases that restores have kept are dropped; undefined: none. */
  keptDays: number | undefined;
  dryRun: boolean | undefined;
  yes: boolean | undefined;
}

/**
 * Cleans up, vacuums and reports. What is deleted is shown first and confirmed. The environment's lock is held for the
 * deletions only, so that a backup need not wait for the vacuum.
 *
 * @throws exit code 75; 2 where it is not confirmed
 */
export async function weekly(config: Config, { keptDays, dryRun, yes }: Wishes) {
  requireTerminal(yes || dryRun);
  const { environment, stateDir } = config;
  const cleaned = await withLockUnless(dryRun, stateDir, environment, 'maintenance.ts weekly', async () => {
    const looked = await lookAll([
      oldImages(config),
      logs(config),
      temporary(config),
      keptDatabases(config, keptDays),
    ]);
    if (!dryRun && looked.some(({ todo }) => todo.length > 0)) {
      process.stderr.write(`${looked.map(({ outcome }) => describe(outcome, true)).join('\n')}\n`);
      await confirm('The deletions can’t be undone.', environment, yes);
      log.changesBegin();
      await doAll(looked);
    }
    return looked;
  });
  const rest: Looked[] = await lookAll([vacuum(config)]);
  if (!dryRun) await doAll(rest);
  rest.push(...(await lookAll([tables(config), diskReport(config)])));
  return resultOf(
    [...cleaned, ...rest].map(({ outcome }) => outcome),
    dryRun,
  );
}
