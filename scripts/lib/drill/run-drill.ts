import { join } from 'node:path';
import { makeBackupDirectory } from '../backup/directory.ts';
import { fetchSource, removeWork } from '../backup/fetch.ts';
import { findSource } from '../backup/find.ts';
import { reserveAt } from '../backup/plan.ts';
import { describeSource } from '../backup/source.ts';
import { checkSource } from '../backup/verify.ts';
import type { Config } from '../config/config.ts';
import { log } from '../core/log.ts';
import { preflight } from '../core/preflight.ts';
import { stopwatch } from '../core/step-timer.ts';
import { siblingName } from '../postgres/databases.ts';
import { readSpaceFacts } from '../postgres/load-space.ts';
import { serverFacts } from '../postgres/server.ts';
import { detachSubscriptions } from '../postgres/subscriptions.ts';
import { loadInto } from '../restore/load-dump.ts';
import { leaveOut } from '../restore/plain-dump.ts';
import { refuseImpossible, refuseLaterBackup } from '../restore/preflight.ts';
import { dropLeftovers, dropOrWarn } from '../restore/swap.ts';
import { type DrillReport, drillReport } from './report.ts';

/**
 * Restores the newest off-site backup into a scratch database on the live server, compares it and drops it. The caller
 * holds the lock of drills.
 *
 * @throws exit code 3 where there is no backup or it is damaged, 4 where S3 can't be read
 */
export async function runDrill(config: Config): Promise<DrillReport> {
  const { postgres } = config;
  const started = new Date();
  const work = join(config.backupDir, `.drill-${config.environment}`);
  const [server] = await preflight(
    () => serverFacts(postgres),
    () => makeBackupDirectory(config),
  );
  const left = await dropLeftovers(postgres, postgres.database, 'drill');
  const space = await readSpaceFacts(postgres, server);
  const scratch = siblingName(postgres.database, 'drill', left);
  const clock = stopwatch();
  try {
    const found = await findSource(config, 'latest', 's3');
    const manifest = found.manifest!; // `latest` always has one
    log.info(`drill with ${describeSource(found)}`);
    await refuseLaterBackup(postgres, server, found);
    const fetched = await fetchSource(found, work, await reserveAt(config, space));
    clock.lap('fetch');
    const source = await checkSource(postgres, fetched);
    clock.lap('verify');
    const { without } = await refuseImpossible(config, source, server, space, scratch, { isDrill: true });
    log.changesBegin();
    await loadInto(config, await leaveOut(source, without), scratch, postgres.database, space);
    await detachSubscriptions(postgres, scratch);
    clock.lap('restore and compare');
    const rpo = (started.getTime() - Date.parse(manifest.snapshotAt)) / 1000;
    return drillReport(config, manifest, { started, seconds: clock.laps(), rto: clock.total(), rpo });
  } finally {
    await dropOrWarn(postgres, scratch);
    await removeWork(work);
  }
}
