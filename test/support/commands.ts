import * as assert from 'uvu/assert';
import type { Command } from '../../scripts/lib/cli/command.ts';

export type AnyCommand = Command<Record<string, never>>;

/** @returns the command that a script declares. Importing a script does nothing, which test/cli/command.test.ts holds. */
export async function commandOf(script: string): Promise<AnyCommand> {
  const exported = Object.values<object>(await import(script));
  const commands = exported.filter(value => typeof value === 'object' && 'exitCodes' in value);
  assert.is(commands.length, 1, script);
  return commands[0] as AnyCommand;
}
