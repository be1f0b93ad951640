import * as assert from 'uvu/assert';
import { type Command, parseArguments, type Result } from '../../../scripts/lib/cli/command.ts';
import type { Options } from '../../../scripts/lib/cli/help.ts';
import type { Config } from '../../../scripts/lib/config/config.ts';

export type AnyCommand = Command<Record<string, never>>;

/** @returns the command that a script declares. Importing a script does nothing, which test/cli/command.test.ts holds. */
export async function commandOf(script: string): Promise<AnyCommand> {
  const exported = Object.values<object>(await import(script));
  const commands = exported.filter(value => typeof value === 'object' && 'exitCodes' in value);
  assert.is(commands.length, 1, script);
  return commands[0] as AnyCommand;
}

/** What a script's command does with these arguments, in this process and with another's configuration. */
export function runHere<O extends Options>(
  definition: Command<O>,
  args: string[],
  config: Config,
): Promise<Result> {
  return definition.run({ ...parseArguments(definition, args), config: () => config } as never);
}
