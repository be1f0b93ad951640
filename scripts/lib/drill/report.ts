import type { Manifest } from '../backup/manifest.ts';
import type { Config } from '../config/config.ts';
import { Exit } from '../core/errors.ts';
import { bytes, count, duration, table } from '../core/format.ts';
import { totalRows } from '../postgres/row-counts.ts';

/** The result of a drill. */
export interface DrillReport {
  /** Start, ISO 8601 in UTC. */
  time: string;
  environment: string;
  /** The backup's id. */
  backup: string;
  format: string;
  artifactBytes: number;
  databaseBytes: number;
  tables: number;
  rows: number;
  /** Seconds of each step. */
  seconds: Record<string, number>;
  /** Recovery time in seconds: until the database is restored and compared. */
  rto: number;
  rtoObjective: number;
  /** The age of the restored data in seconds: what a loss of the server now would cost. */
  rpo: number;
  rpoObjective: number;
  /** What could not be loaded without the rights of a superuser, as a sentence; null: nothing. */
  notProven: string | null;
}

/** @returns the report of a drill, from the backup's manifest and what was measured */
export function drillReport(
  config: { environment: string } & Pick<Config, 'rto' | 'rpo'>,
  { id, format, artifact, databaseBytes, tables }: Manifest,
  {
    started,
    seconds,
    rto,
    rpo,
    notProven = null,
  }: Pick<DrillReport, 'seconds' | 'rto' | 'rpo'> & { started: Date; notProven?: string | null },
): DrillReport {
  return {
    time: started.toISOString(),
    environment: config.environment,
    backup: id,
    format,
    artifactBytes: artifact.bytes,
    databaseBytes,
    tables: tables.length,
    rows: totalRows(tables),
    seconds,
    rto,
    rtoObjective: config.rto,
    rpo,
    rpoObjective: config.rpo,
    notProven,
  };
}

/** @returns the objectives that the drill missed, each as a sentence */
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

function formatReport(report: DrillReport): string {
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
        ...(report.notProven === null ? [] : [['warning', report.notProven]]),
      ],
    ).trimStart(),
  ].join('\n');
}

/** @returns what drill.ts prints and exits with: 3 where an objective is missed */
export function conclude(report: DrillReport) {
  const problems = missed(report);
  const verdict =
    problems.length === 0
      ? 'drill passed: the backup restores within the objectives'
      : `drill FAILED: ${problems.join('; ')}`;
  return {
    exitCode: problems.length === 0 ? Exit.done : Exit.verification,
    text: `${formatReport(report)}\n\n${verdict}`,
    json: { ...report, missed: problems },
    verdict,
  };
}
