import { createInterface } from 'node:readline/promises';
import { usageError } from '../core/errors.ts';
import { styled } from '../core/format.ts';
import { interrupt } from '../core/signals.ts';

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
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  prompt.once('SIGINT', () => process.kill(process.pid, 'SIGINT')); // readline handles Ctrl+C itself
  try {
    const closed = new Promise<string>(resolve => prompt.once('close', () => resolve('')));
    const asked = prompt.question(`${question}\nType ${styled('bold', name)} to go on: `, {
      signal: interrupt,
    });
    asked.catch(() => {}); // the race below throws it
    const answer = await Promise.race([asked, closed]);
    if (answer.trim() !== name)
      throw usageError('not confirmed; nothing was changed', `type ${name} exactly, or add --yes.`);
  } finally {
    prompt.close();
  }
}
