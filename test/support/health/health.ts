import * as assert from 'uvu/assert';
import type { Ended } from '../core/world.ts';

export interface Service {
  status: string;
  message: string;
  hint?: string;
  value?: number;
  unit?: string;
  thresholds?: { warning: number; critical: number };
  ms: number;
}

export interface Report {
  code: number | null;
  overall: string;
  services: Record<string, Service>;
  /** All lines, by name. */
  statuses: Record<string, string>;
}

const CODES: Record<string, number> = { healthy: 0, warning: 1, critical: 2, unknown: 3 };

/** Reads what health-check.ts --json has printed, and asserts that code, words and form agree. */
export function reportOf({ code, stdout, stderr }: Ended): Report {
  assert.ok(stdout.startsWith('{'), stderr);
  const { timestamp, overall_status: overall, services } = JSON.parse(stdout);
  assert.ok(Math.abs(Date.now() - Date.parse(timestamp)) < 300_000, timestamp);
  assert.is(code, CODES[overall], `${overall}: ${stderr}`);
  const entries = Object.entries<Service>(services);
  for (const [name, { message, ms }] of entries) {
    assert.ok(message.length > 0 && !message.includes('this is a bug'), `${name}: ${message}`);
    assert.type(ms, 'number');
  }
  return {
    code,
    overall,
    services,
    statuses: Object.fromEntries(entries.map(([name, { status }]) => [name, status])),
  };
}

/** @returns the lines that are not what they were when all was well */
export function turned(well: Report, now: Report): Record<string, string> {
  const names = new Set([...Object.keys(well.statuses), ...Object.keys(now.statuses)]);
  return Object.fromEntries(
    [...names]
      .filter(name => well.statuses[name] !== now.statuses[name])
      .map(name => [name, now.statuses[name] ?? 'gone']),
  );
}
