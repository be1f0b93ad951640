import { type Ended, startProgram, type World } from '../core/world.ts';

/** @returns the command that a message shows: the group of the pattern */
export function commandIn(text: string, pattern: RegExp): string {
  const found = pattern.exec(text)?.[1];
  if (!found) throw new Error(`${pattern} is not in:\n${text}`);
  return found;
}

/** Runs a command as an operator pastes it, in the directory in which the message was read. */
export function paste({ env }: Pick<World, 'env'>, command: string, cwd: string): Promise<Ended> {
  return startProgram('sh', ['-c', command], env, { cwd }).ended;
}
