import { appendFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { sizeOf, writeWhole } from '../core/files.ts';
import { bytes, duration, stamp, utc } from '../core/format.ts';
import { rotate } from '../core/log.ts';
import type { Bounds } from '../core/rotate.ts';
import { type DrillReport, missed } from './report.ts';

const HEADER = `| Drill | Environment | Backup | Data | RTO | RPO | Result |
|---|---|---|---|---|---|---|
`;

/** More than two years of a drill each night. */
const MAX_REPORTS = 1000;
/** About 6,000 rows. */
const TABLE: Bounds = { limit: 1e6, older: 1 };

/** Deletes the oldest JSON files; their names sort by time. */
async function forgetOldReports(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter(name => /^\d{8}_\d{6}\.json$/.test(name)).sort();
  for (const name of names.slice(0, -MAX_REPORTS)) await rm(join(directory, name), { force: true });
}

/**
 * Writes `<stateDir>/drills/<time>.json` and appends a row to the table in `report.md`, for a quarterly report.
 * @returns the path of the JSON file
 */
export async function writeReport(config: Config, report: DrillReport): Promise<string> {
  const directory = join(config.stateDir, 'drills');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `${stamp(new Date(report.time))}.json`);
  await writeWhole(path, JSON.stringify({ ...report, missed: missed(report) }, null, 2) + '\n');
  await forgetOldReports(directory);
  const markdown = join(directory, 'report.md');
  rotate(markdown, TABLE);
  const cells = [
    utc(report.time),
    report.environment,
    report.backup,
    bytes(report.databaseBytes),
    `${duration(report.rto)} of ${duration(report.rtoObjective)}`,
    `${duration(report.rpo)} of ${duration(report.rpoObjective)}`,
    missed(report).length === 0 ? 'met' : 'missed',
  ];
  await appendFile(markdown, `${(await sizeOf(markdown)) ? '' : HEADER}| ${cells.join(' | ')} |\n`, {
    mode: 0o600,
  });
  return path;
}
