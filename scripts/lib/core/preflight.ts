import { OperationalError, operational, textOf } from './errors.ts';

/**
 * Runs all checks at once. @returns their results
 * @throws OperationalError that lists all problems, with the exit code of the first
 */
export async function preflight<T extends readonly unknown[]>(
  ...checks: { [K in keyof T]: () => Promise<T[K]> }
): Promise<T> {
  const results = await Promise.allSettled(checks.map(check => check()));
  const wrong = results.flatMap(result => (result.status === 'rejected' ? [operational(result.reason)] : []));
  const bug = wrong.find(error => !(error instanceof OperationalError));
  if (bug !== undefined) throw bug;
  const problems = wrong as OperationalError[];
  if (problems.length === 1) throw problems[0];
  if (problems.length > 1) {
    const list = problems.map(problem => `\n  - ${textOf(problem).replaceAll('\n', '\n  ')}`).join('');
    throw new OperationalError(
      `${problems.length} problems found; nothing was changed:${list}`,
      'correct them and run it again.',
      problems[0]!.exitCode,
    );
  }
  return results.map(result => (result as PromiseFulfilledResult<unknown>).value) as unknown as T;
}
