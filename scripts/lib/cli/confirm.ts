import { usageError } from '../core/errors.ts';
import { styled } from '../core/format.ts';
import { openPrompt } from './prompt.ts';

/** @returns whether {@link confirm} can ask */
export function hasTerminal(): boolean {
  return Boolean(process.stdin.isTTY && process.stderr.isTTY);
}

/** @throws a usage error when {@link confirm} could not ask; call it before long work, so that no work is lost */
export function requireTerminal(yes: boolean | undefined): void {
  if (yes || hasTerminal()) return;
  throw usageError('there is no terminal to confirm this on', 'add --yes to skip the question.');
}

/**
 * Asks the operator to type `name` before a dangerous step; `--yes` answers.
 * @throws a usage error if there is no terminal to ask on, or something else is typed
 */
export async function confirm(question: string, name: string, yes: boolean | undefined): Promise<void> {
  if (yes) return;
  requireTerminal(false);
  const prompt = openPrompt();
  try {
    const answer = await prompt.ask(`${question}\nType ${styled('bold', name)} to go on: `);
    if (answer?.trim() !== name)
      throw usageError('not confirmed; nothing was changed', `type ${name} exactly, or add --yes.`);
  } finally {
    prompt.close();
  }
}
