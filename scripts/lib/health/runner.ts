import { messageOf, OperationalError, operational } from '../core/errors.ts';
import { throwIfInterrupted, withTimeout } from '../core/signals.ts';
import { type Check, type Finding, NotConfigured, type Result } from './check.ts';

const SECONDS = 5;

/**
 * Runs all checks at once and waits for each no longer than its time. What one throws is its own line: it keeps
 * no other from being there.
 */
export async function runChecks(checks: Check[]): Promise<Result[]> {
  const results = await Promise.all(checks.map(runCheck));
  throwIfInterrupted();
  return results;
}

async function runCheck({ name, page = name, timeout = SECONDS, run }: Check): Promise<Result> {
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

/** @returns a function that does `work` when it is first called, and gives every caller what came of it */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | undefined;
  return () => (promise ??= work());
}
