import { findSource } from '../backup/find.ts';
import type { Config } from '../config/config.ts';
import { loadScratch } from '../restore/scratch.ts';
import { type DrillReport, drillReport } from './report.ts';

/**
 * Restores the newest off-site backup into a scratch database on the live server, compares it and drops it. The caller
 * holds the lock of drills.
 *
 * @throws exit code 3 where there is no backup or it is damaged, 4 where S3 can't be read
 */
export async function runDrill(config: Config): Promise<DrillReport> {
  const started = new Date();
  const { source, seconds, total, notProven } = await loadScratch(config, 'drill', () =>
    findSource(config, 'latest', 's3'),
  );
  const manifest = source.manifest!; // `latest` always has one
  const rpo = (started.getTime() - Date.parse(manifest.snapshotAt)) / 1000;
  return drillReport(config, manifest, { started, seconds, rto: total, rpo, notProven });
}
