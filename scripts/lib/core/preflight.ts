import { OperationalError, operational } from './errors.ts';
import { bytes } from './format.ts';

/**
 * Runs every check, whatever the others say, and returns what they found out.
 * @throws one error that lists all that is wrong; it has the exit code of the first
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
    const list = problems.map(({ message, hint }) => `\n  - ${message}\n    → ${hint}`).join('');
    throw new OperationalError(
      `${problems.length} things are wrong; nothing was changed:${list}`,
      'put them right and run it again.',
      problems[0]!.exitCode,
    );
  }
  return results.map(result => (result as PromiseFulfilledResult<unknown>).value) as unknown as T;
}

/** @throws when `free` bytes are too few */
export function enoughSpace(where: string, free: number, needed: number): void {
  if (free >= needed) return;
  throw new OperationalError(
    `${where} has ${bytes(free)} free, and about ${bytes(needed)} are needed`,
    'free some space: prune-backups.ts deletes backups past their time, restore.ts --finish drops kept databases.',
  );
}
