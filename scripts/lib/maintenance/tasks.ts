/** Recurring work in tasks: each looks first, says what it would do, and does only that. */
import { Exit, Interrupted, messageOf, OperationalError, operational, textOf } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { NotConfigured } from '../health/check.ts';

/** Something that a task would do. */
export interface Todo {
  /** As an order: `remove backend:1.2.0`. */
  what: string;
  /** @returns text of what came of it, where that says more than the order; a failure is an OperationalError */
  run: () => Promise<unknown>;
}

/** What a task finds. */
export interface Found {
  /** In one sentence. */
  found: string;
  /** What an operator should know or decide; a line each. */
  notes?: string[];
  todo?: Todo[];
}

export interface Task {
  name: string;
  /** Changes nothing. */
  look: () => Promise<Found>;
}

/** What became of a task. */
export interface Outcome {
  task: string;
  found: string;
  notes: string[];
  /** What it would do, or was to do. */
  planned: string[];
  done: string[];
  errors: OperationalError[];
}

/** A task that has looked. */
export interface Looked {
  outcome: Outcome;
  todo: Todo[];
}

/** Looks at each. What prevents a look is an error of that task, and does not end the run. */
export async function lookAll(tasks: Task[]): Promise<Looked[]> {
  const looked: Looked[] = [];
  for (const { name, look } of tasks) {
    const outcome: Outcome = { task: name, found: '', notes: [], planned: [], done: [], errors: [] };
    const found = await expected(outcome, look);
    const todo = found?.todo ?? [];
    Object.assign(outcome, {
      found: found?.found ?? outcome.found,
      notes: found?.notes ?? [],
      planned: todo.map(({ what }) => what),
    });
    looked.push({ outcome, todo });
  }
  return looked;
}

/** Does what each has planned. A failure is an error of that task, and does not end the run. */
export async function doAll(looked: Looked[]): Promise<void> {
  for (const { outcome, todo } of looked) {
    for (const { what, run } of todo) {
      const done = await expected(outcome, async () => {
        const said = await run();
        return typeof said === 'string' ? said : what;
      });
      if (done === undefined) continue;
      outcome.done.push(done);
      log.done(`${outcome.task}: ${done}`);
    }
  }
}

async function expected<T>(outcome: Outcome, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof NotConfigured) {
      outcome.found = `not configured: ${thrown.message}`;
      return undefined;
    }
    const error = operational(thrown);
    if (error instanceof Interrupted) throw error;
    if (!(error instanceof OperationalError))
      throw new Error(`task ${outcome.task}: ${messageOf(error)}`, { cause: error });
    outcome.errors.push(error);
    return undefined;
  }
}

/** @returns a task’s line, with one for each note, plan, change and error */
export function describe({ task, found, notes, planned, done, errors }: Outcome, dryRun = false): string {
  return [
    `${task.padEnd(14)} ${errors.length > 0 ? `FAILED ${found}` : found}`.trimEnd(),
    ...notes.map(each => `  - ${each}`),
    ...(dryRun ? planned.map(each => `  would ${each}`) : done.map(each => `  + ${each}`)),
    ...errors.map(error => `  ! ${textOf(error).replaceAll('\n', '\n  ')}`),
  ].join('\n');
}

/** @returns the result of a run: its text, its JSON, and the exit code of the first failure */
export function resultOf(outcomes: Outcome[], dryRun = false) {
  const [first] = outcomes.flatMap(({ errors }) => errors);
  const tasks = outcomes.map(({ errors, ...outcome }) => ({ ...outcome, errors: errors.map(textOf) }));
  return {
    text: outcomes.map(outcome => describe(outcome, dryRun)).join('\n'),
    json: { ok: first === undefined, dryRun, tasks },
    exitCode: first?.exitCode ?? Exit.done,
  };
}
