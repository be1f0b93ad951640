/** Restores a backup into a scratch database on the live server, compares it and drops it. */
import { recordPassed } from '../backup/check-log.ts';
import { makeBackupDirectory } from '../backup/directory.ts';
import { fetchSource, removeWork } from '../backup/fetch.ts';
import { describeSource, type Source } from '../backup/find.ts';
import { checkSource } from '../backup/verify.ts';
import type { Config } from '../config/config.ts';
import { log } from '../core/log.ts';
import { preflight } from '../core/preflight.ts';
import { stopwatch } from '../core/step-timer.ts';
import { drop, siblingName } from '../postgres/databases.ts';
import { serverFacts } from '../postgres/server.ts';
import { drillDirectory, sweep } from '../restore/leftovers.ts';
import { loadInto } from '../restore/load-dump.ts';
import { leaveOut } from '../restore/plain-dump.ts';
import { refuseImpossible } from '../restore/preflight.ts';

/**
 * Restores a backup into a scratch database, compares it, drops it, and records that. The caller holds the lock of
 * drills.
 *
 * @param find is called when the preflight has passed
 * @returns the backup, and the seconds of each step
 * @throws exit code 3 where there is no backup, it is damaged or differs after loading; 4 where S3 can't be read
 */
export async function rehearse(config: Config, find: () => Promise<Source>) {
  const { postgres } = config;
  const work = drillDirectory(config);
  const [server] = await preflight(
    () => serverFacts(postgres),
    () => makeBackupDirectory(config),
  );
  const scratch = siblingName(postgres.database, 'drill', await sweep(config, 'drill'));
  const clock = stopwatch();
  try {
    const found = await find();
    log.info(`loading ${describeSource(found)} into a scratch database`);
    const fetched = await fetchSource(found, work);
    clock.lap('fetch');
    const source = await checkSource(postgres, fetched);
    clock.lap('verify');
    const { without } = await refuseImpossible(config, source, server, scratch, { isDrill: true });
    log.changesBegin();
    await loadInto(config, await leaveOut(source, without), scratch, postgres.database);
    clock.lap('restore and compare');
    recordPassed(config, source, 'loaded');
    return { source, seconds: clock.laps(), total: clock.total() };
  } finally {
    await drop(postgres, scratch);
    await removeWork(work);
  }
}
