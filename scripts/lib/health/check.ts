export type Status = 'ok' | 'not configured' | 'unknown' | 'warning' | 'critical';

/** From the best to the worst: of several findings the worst decides. */
const ORDER: Status[] = ['not configured', 'ok', 'unknown', 'warning', 'critical'];

/** What a check has found out. */
export interface Finding {
  status: Status;
  /** One sentence for a tired person. */
  message: string;
  /** What to do, where an error has said so. */
  hint?: string;
  value?: number;
  unit?: '%' | 's' | 'ms';
  /** Of the value. A critical one below the warning means that less is worse. */
  thresholds?: { warning: number; critical: number };
}

/** One line of the report. */
export interface Result extends Finding {
  name: string;
  /** Its heading in docs/RUNBOOK.md. */
  page: string;
  ms: number;
}

export interface Check {
  name: string;
  /** Its heading in docs/RUNBOOK.md; default: its name. */
  page?: string;
  /** Seconds. Default: 5. */
  timeout?: number;
  run: () => Promise<Finding>;
}

/** Thrown by a check that has nothing to look at. */
export class NotConfigured extends Error {}

/** @returns the worst of all; with none, `ok` */
export function worst(statuses: Status[]): Status {
  const found = statuses.map(status => ORDER.indexOf(status));
  return ORDER[Math.max(ORDER.indexOf('ok'), ...found)]!;
}

/** One thing that a check says, and how bad it is. */
export type Remark = [status: Status, text: string];

/** @returns the worst status, and the remarks that are not ok, worst first; where all is well, those that are */
export function sum(remarks: Remark[]): Pick<Finding, 'status' | 'message'> {
  const status = worst(remarks.map(([each]) => each));
  const told = remarks
    .filter(([each]) => (status === 'ok' ? each === 'ok' : each !== 'ok' && each !== 'not configured'))
    .sort(([a], [b]) => ORDER.indexOf(b) - ORDER.indexOf(a));
  return { status, message: told.map(([, text]) => text).join('; ') };
}

/** @returns how bad a value is by its thresholds; one that reaches a threshold has crossed it */
export function grade(value: number, { warning, critical }: { warning: number; critical: number }): Status {
  const reaches = (limit: number) => (critical < warning ? value < limit : value >= limit);
  return reaches(critical) ? 'critical' : reaches(warning) ? 'warning' : 'ok';
}
