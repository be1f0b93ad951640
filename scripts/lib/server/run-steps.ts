import { messageOf, OperationalError, operational, textOf } from '../core/errors.ts';
import { log } from '../core/log.ts';
import type { Outcome, Step } from './step.ts';

/**
 * Looks, and changes nothing.
 * @returns what each step finds; what prevents a look is its error
 */
export async function lookAt(steps: Step[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const step of steps) outcomes.push(await outcomeOf(step, async () => []));
  return outcomes;
}

/**
 * Removes the differences of each step, and looks again. A step that fails does not end the run: the others may be what
 * keeps this server reachable.
 */
export async function mendAll(steps: Step[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let changes = false;
  for (const step of steps) {
    const outcome = await outcomeOf(step, async look => {
      if (!changes) log.changesBegin();
      changes = true;
      return step.mend(look);
    });
    log.info(describe(outcome));
    outcomes.push(outcome);
  }
  return outcomes;
}

async function outcomeOf(step: Step, mend: Step['mend']): Promise<Outcome> {
  const outcome: Outcome = { step: step.name, found: '', differences: [], done: [], left: [] };
  const look = await expected(outcome, () => step.look());
  if (!look) return outcome;
  Object.assign(outcome, { found: look.found, differences: look.differences, left: look.differences });
  if (look.differences.length === 0) return outcome;
  const done = await expected(outcome, () => mend(look));
  outcome.done = done ?? [];
  if (outcome.error || outcome.done.length > 0)
    outcome.left = (await expected(outcome, () => step.look()))?.differences ?? outcome.left;
  return outcome;
}

/** @returns what the work returns; undefined where it fails with an error that an operator can act on, which the outcome then has */
async function expected<T>(outcome: Outcome, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    const error = operational(thrown);
    if (!(error instanceof OperationalError))
      throw new Error(`step ${outcome.step}: ${messageOf(error)}`, { cause: error });
    outcome.error ??= error;
    return undefined;
  }
}

/** @returns whether the server is, for this step, what it should be */
export const isRight = ({ left, error }: Outcome): boolean => left.length === 0 && !error;

/** @returns a step’s line, with one for each difference and for each thing that was done */
export function describe({ step, found, differences, done, left, error }: Outcome): string {
  const word = error ? 'failed' : left.length > 0 ? 'differs' : done.length > 0 ? 'changed' : 'ok';
  return [
    `${step.padEnd(12)} ${word.padEnd(8)} ${found}`.trimEnd(),
    ...differences.map(each => `  - ${each}`),
    ...done.map(each => `  + ${each}`),
    ...(done.length > 0 ? left.map(each => `  ! still: ${each}`) : []),
    ...(error ? [`  ! ${textOf(error).replaceAll('\n', '\n  ')}`] : []),
  ].join('\n');
}
