import { messageOf, OperationalError, operational } from '../errors.ts';
import { interrupt, throwIfInterrupted } from '../interrupt.ts';
import { type Check, type Finding, NotConfigured, type Result } from './result.ts';

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
  const finding = await within(timeout, run).catch(findingOf);
  return { name, page, ...finding, ms: Math.round(performance.now() - started) };
}

/** A server that does not answer may hold a check for ever; the race leaves it behind. */
async function within<T>(seconds: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const late = new OperationalError(`no answer in ${seconds} s`, 'see whether the server hangs.');
  const timer = setTimeout(() => over.abort(late), seconds * 1000);
  const signal = AbortSignal.any([interrupt, over.signal]);
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    return await Promise.race([run(signal), aborted]);
  } finally {
    clearTimeout(timer);
  }
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
