/** Restores a backup into a scratch database on the live server, compares it and drops it. */
import { recordPassed } from '../backup/check-log.ts';
import { makeBackupDirectory } from '../backup/directory.ts';
import { fetchSource, removeWork } from '../backup/fetch.ts';
import { reserveAt } from '../backup/plan.ts';
import { describeSource, type Source } from '../backup/source.ts';
import { checkSource } from '../backup/verify.ts';
import type { Config } from '../config/config.ts';
import { log } from '../core/log.ts';
import { preflight } from '../core/preflight.ts';
import { stopwatch } from '../core/step-timer.ts';
import { siblingName } from '../postgres/databases.ts';
import { readSpaceFacts } from '../postgres/load-space.ts';
import { serverFacts } from '../postgres/server.ts';
import { detachSubscriptions } from '../postgres/subscriptions.ts';
import { DATABASES, DIRECTORIES, sweep } from './leftovers.ts';
import { loadInto } from './load-dump.ts';
import { leaveOut } from './plain-dump.ts';
import { refuseImpossible, refuseLaterBackup } from './preflight.ts';
import { dropOrWarn } from './swap.ts';
import { scanMeanwhile, scannedAgain, whoLoads } from './who-loads.ts';

/**
 * Restores a backup into a scratch database, compares it, records that, and drops the database at the end. Owners and
 * privileges are left out where this server lacks roles.
 *
 * @param owner the lock that the caller holds
 * @param find is called when the preflight has passed
 * @param use what is done with the scratch database before it is dropped
 * @returns the backup, the seconds of each step, and what was not proven, as a sentence
 * @throws exit code 3 where there is no backup, it is damaged or differs after loading; 4 where S3 can't be read
 */
export async function loadScratch(
  config: Config,
  owner: 'environment' | 'drill',
  find: () => Promise<Source>,
  use?: (scratch: string) => Promise<void>,
) {
  const { postgres } = config;
  const work = DIRECTORIES[owner](config);
  const [server] = await preflight(
    () => serverFacts(postgres),
    () => makeBackupDirectory(config),
  );
  const left = await sweep(config, owner);
  const space = await readSpaceFacts(postgres, server);
  const scratch = siblingName(postgres.database, DATABASES[owner], left);
  const clock = stopwatch();
  try {
    const found = await find();
    log.info(`loading ${describeSource(found)} into a scratch database`);
    await refuseLaterBackup(postgres, server, found);
    const fetched = await fetchSource(found, work, await reserveAt(config, space));
    clock.lap('fetch');
    const [source, scan] = await scanMeanwhile(postgres, fetched, server, () =>
      checkSource(postgres, fetched),
    );
    clock.lap('verify');
    const options = { isDrill: true, scan };
    const { without } = await refuseImpossible(config, source, server, space, scratch, options);
    const rights = whoLoads(postgres, server, source, scan, options);
    log.changesBegin();
    const loaded = await leaveOut(source, without);
    const how = await scannedAgain(postgres, source, loaded, rights);
    await loadInto(config, loaded, scratch, space, how);
    await detachSubscriptions(postgres, scratch);
    clock.lap('restore and compare');
    recordPassed(config, source, 'loaded');
    await use?.(scratch);
    return { source, seconds: clock.laps(), total: clock.total(), notProven: rights.notProven };
  } finally {
    await dropOrWarn(postgres, scratch);
    await removeWork(work);
  }
}
