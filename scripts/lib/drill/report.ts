import { existsSync } from 'node:fs';
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { writeWhole } from '../core/files.ts';
import { bytes, count, duration, stamp, table, utc } from '../core/format.ts';

/** What a drill has measured. */
export interface DrillReport {
  /** When it began. */
  time: string;
  environment: string;
  backup: string;
  format: string;
  artifactBytes: number;
  databaseBytes: number;
  tables: number;
  rows: number;
  /** Seconds of each step. */
  seconds: Record<string, number>;
  /** Seconds from nothing to a database that is proven to be the one backed up. */
  rto: number;
  rtoObjective: number;
  /** Seconds between the data and the drill: what would have been lost. */
  rpo: number;
  rpoObjective: number;
}

/** @returns which objectives a drill has missed, as sentences */
export function missed({ rto, rtoObjective, rpo, rpoObjective }: DrillReport): string[] {
  return [
    ...(rto > rtoObjective
      ? [`recovery took ${duration(rto)}; the objective (RTO_OBJECTIVE) is ${duration(rtoObjective)}`]
      : []),
    ...(rpo > rpoObjective
      ? [`the data was ${duration(rpo)} old; the objective (RPO_OBJECTIVE) is ${duration(rpoObjective)}`]
      : []),
  ];
}

/** @returns the report as a person reads it */
export function draw(report: DrillReport): string {
  const verdict = (value: number, objective: number) =>
    `${duration(value)}  (objective ${duration(objective)}: ${value <= objective ? 'met' : 'MISSED'})`;
  return [
    table(
      ['step', '>time'],
      Object.entries(report.seconds).map(([step, seconds]) => [step, duration(seconds)]),
    ),
    '',
    table(
      ['', ''],
      [
        ['backup', `${report.backup} (${report.format})`],
        [
          'database',
          `${bytes(report.databaseBytes)}, ${count(report.tables)} tables, ${count(report.rows)} rows`,
        ],
        ['artifact', bytes(report.artifactBytes)],
        ['RTO', verdict(report.rto, report.rtoObjective)],
        ['RPO', verdict(report.rpo, report.rpoObjective)],
      ],
    ).trimStart(),
  ].join('\n');
}

const HEADER = `| Drill | Environment | Backup | Data | RTO | RPO | Result |
|---|---|---|---|---|---|---|
`;

/** Keeps a drill's result: `<stateDir>/drills/<time>.json`, and a line of the table that a quarterly report copies. */
export async function keepReport(config: Config, report: DrillReport): Promise<string> {
  const directory = join(config.stateDir, 'drills');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `${stamp(new Date(report.time))}.json`);
  await writeWhole(path, JSON.stringify({ ...report, missed: missed(report) }, null, 2) + '\n');
  const markdown = join(directory, 'report.md');
  const cells = [
    utc(report.time),
    report.environment,
    report.backup,
    bytes(report.databaseBytes),
    `${duration(report.rto)} of ${duration(report.rtoObjective)}`,
    `${duration(report.rpo)} of ${duration(report.rpoObjective)}`,
    missed(report).length === 0 ? 'met' : 'missed',
  ];
  await appendFile(markdown, `${existsSync(markdown) ? '' : HEADER}| ${cells.join(' | ')} |\n`, {
    mode: 0o600,
  });
  return path;
}
