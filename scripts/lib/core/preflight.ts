import { adviceFor, causeOf } from './advice.ts';
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
  const problems = joined(wrong as OperationalError[]);
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

/** Causes that end each check which needs Docker, or one container of it, in the same way. */
const SHARED = new Set(['docker down', 'docker denied', 'no docker', 'no container']);

/** @returns the problems, of those with one {@link SHARED} cause only the first, with the advice on that cause */
function joined(problems: OperationalError[]): OperationalError[] {
  return [...Map.groupBy(problems, kindOf).values()].map(([first, ...others]) => {
    if (others.length === 0) return first!;
    const { message, hint, exitCode } = first!;
    const more = `${others.length} more check${others.length === 1 ? '' : 's'} failed for this reason`;
    return new OperationalError(
      `${message}; ${more}`,
      adviceFor(causeOf(message), message) ?? hint,
      exitCode,
    );
  });
}

/** @returns the same for problems that are one; the problem itself where it is like no other */
function kindOf(problem: OperationalError): string | OperationalError {
  const cause = causeOf(problem.message);
  if (cause === undefined || !SHARED.has(cause)) return problem;
  return `${cause} ${/no such container: *\S+/i.exec(problem.message)?.[0] ?? ''}`;
}
