export type Status = 'ok' | 'not configured' | 'unknown' | 'warning' | 'critical';

/** From best to worst. */
const ORDER: Status[] = ['not configured', 'ok', 'unknown', 'warning', 'critical'];

/** What a check has found. */
export interface Finding {
  status: Status;
  /** One sentence. */
  message: string;
  /** The critical ones, where the message has several things. */
  faults?: string[];
  /** What to do. */
  hint?: string;
  value?: number;
  unit?: '%' | 's' | 'ms';
  /** Of the value. A critical one below the warning means that less is worse. */
  thresholds?: { warning: number; critical: number };
}

/** One line of the report. */
export interface CheckResult extends Finding {
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

/** Thrown by a check of something that is not configured. */
export class NotConfigured extends Error {}

/** @returns the worst of all; `not configured` counts as ok */
export function worst(statuses: Status[]): Exclude<Status, 'not configured'> {
  const ranks = statuses.map(status => ORDER.indexOf(status));
  return ORDER[Math.max(ORDER.indexOf('ok'), ...ranks)] as Exclude<Status, 'not configured'>;
}

/** One of several things that a check has found. */
export type Remark = [status: Status, text: string];

/** @returns the worst status and the remarks that are not ok, worst first; without any, those that are ok */
export function summarize(remarks: Remark[]): Pick<Finding, 'status' | 'message' | 'faults'> {
  const status = worst(remarks.map(([each]) => each));
  const shown = remarks
    .filter(([each]) => (status === 'ok' ? each === 'ok' : each !== 'ok' && each !== 'not configured'))
    .sort(([a], [b]) => ORDER.indexOf(b) - ORDER.indexOf(a));
  const faults = shown.flatMap(([each, text]) => (each === 'critical' ? [text] : []));
  return {
    status,
    message: shown.map(([, text]) => text).join('; '),
    ...(faults.length > 0 ? { faults } : {}),
  };
}

/** @returns the status of a value; one that equals a threshold has reached it, unless less is worse */
export function grade(value: number, { warning, critical }: { warning: number; critical: number }): Status {
  const reaches = (limit: number) => (critical < warning ? value < limit : value >= limit);
  return reaches(critical) ? 'critical' : reaches(warning) ? 'warning' : 'ok';
}
