import { messageOf, OperationalError, operational } from '../core/errors.ts';
import { throwIfInterrupted, withTimeout } from '../core/signals.ts';
import { type Check, type CheckResult, type Finding, NotConfigured } from './check.ts';

/** Seconds that a check may take by default. */
const SECONDS = 5;

/**
 * Runs all checks at once, each with its time limit. What one throws becomes its own line.
 * @throws Interrupted when a signal arrives meanwhile
 */
export async function runChecks(checks: Check[]): Promise<CheckResult[]> {
  const results = await Promise.all(checks.map(runCheck));
  throwIfInterrupted();
  return results;
}

async function runCheck({ name, page = name, timeout = SECONDS, run }: Check): Promise<CheckResult> {
  const started = performance.now();
  const finding = await withTimeout(timeout, run).catch(findingOf);
  return { name, page, ...finding, ms: Math.round(performance.now() - started) };
}

function findingOf(thrown: unknown): Finding {
  const error = operational(thrown);
  if (error instanceof NotConfigured) return { status: 'not configured', message: error.message };
  if (error instanceof OperationalError)
    return { status: 'critical', message: error.message, hint: error.hint };
  const where = error instanceof Error ? (error.stack?.split('\n')[1]?.trim() ?? '') : '';
  return { status: 'unknown', message: `this is a bug: ${messageOf(error)}`, hint: where };
}

/** @returns a function that does the work when it is first called, and returns the same promise to every caller */
export function memoize<T>(work: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | undefined;
  return () => (promise ??= work());
}
